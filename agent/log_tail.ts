/**
 * The end of an activation's log, made fit to be sent.
 * @module
 */
import { cleanLine, cleanText, LOG_TAIL_MAX_BYTES, redact, tailOf } from "@nix-ota/common";

/** Longest line that stands for a whole log. */
const LAST_LINE_MAX = 300;

/** The last line that says something, or null. */
export function lastLineOf(log: string): string | null {
  const line = cleanText(log).split("\n").findLast((one) => one.trim() !== "");
  return line === undefined ? null : cleanLine(redact(line), LAST_LINE_MAX);
}

/**
 * The redacted end of a log whose JSON form has at most `maxBytes`, so that an envelope around it keeps its own limit:
 * quotes and line ends take two bytes there, and base64 a third more.
 */
export function logTailOf(log: string, maxBytes: number): string {
  let tail = tailOf(redact(cleanText(log)), Math.min(maxBytes, LOG_TAIL_MAX_BYTES));
  for (;;) {
    const size = new TextEncoder().encode(JSON.stringify(tail)).length;
    if (size <= maxBytes) return tail;
    tail = tailOf(tail, Math.max(0, new TextEncoder().encode(tail).length - (size - maxBytes) - 1));
  }
}
