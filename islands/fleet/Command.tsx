import type { JSX } from "preact";
import { CopyButton } from "./CopyButton.tsx";

/** A command line or a file to copy. */
export function Command({ text, label }: { text: string; label: string }): JSX.Element {
  return (
    <div class="command">
      <pre><code>{text}</code></pre>
      <CopyButton text={text} label={`Copy: ${label}`} />
    </div>
  );
}
