import type { JSX } from "preact";
import { CopyButton } from "./CopyButton.tsx";

/** An option's name: browsers would break the line after its dashes. */
const FLAG = /(--[a-z-]+)/;

/** A command line or a file to copy. */
export function Command({ text, label }: { text: string; label: string }): JSX.Element {
  const words = text.split(FLAG).map((part, at) => FLAG.test(part) ? <span key={at} class="flag">{part}</span> : part);
  return (
    <div class="command">
      <pre><code>{words}</code></pre>
      <CopyButton text={text} label={`Copy: ${label}`} />
    </div>
  );
}
