import { useSignal } from "@preact/signals";
import type { JSX } from "preact";

/** How long "Copied" stays, in milliseconds. */
const COPIED_MS = 2_000;

/** Copies a text. Only shown once its island is alive. */
export function CopyButton({ text, label }: { text: string; label: string }): JSX.Element {
  const copied = useSignal(false);
  async function copy(button: HTMLButtonElement): Promise<void> {
    if (!await copyText(text)) return selectBefore(button);
    copied.value = true;
    setTimeout(() => copied.value = false, COPIED_MS);
  }
  return (
    <button type="button" class="copy" aria-label={label} onClick={(event) => void copy(event.currentTarget)}>
      <span role="status">{copied.value ? "Copied" : "Copy"}</span>
    </button>
  );
}

/** Browsers offer the clipboard on HTTPS and on this machine only. */
async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

/** The next best thing: selects the text beside the button, ready for Ctrl+C. */
function selectBefore(button: HTMLButtonElement): void {
  if (button.previousElementSibling) getSelection()?.selectAllChildren(button.previousElementSibling);
}
