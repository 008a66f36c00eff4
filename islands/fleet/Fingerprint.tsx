import type { JSX } from "preact";
import { plain, shortFingerprint } from "./words.ts";

/** A key's fingerprint, shortened; whole on hover and for screen readers. */
export function Fingerprint({ value }: { value: string }): JSX.Element {
  return <code class="fingerprint" title={plain(value)}>{shortFingerprint(value)}</code>;
}
