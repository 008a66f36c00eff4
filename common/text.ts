/**
 * Text from elsewhere, made safe to show and to log.
 * @module
 */

/** Control characters, and the marks that turn the direction of text round: U+202A-202E, U+2066-2069, U+200E-200F. */
// deno-lint-ignore no-control-regex -- These are the very characters to remove.
const UNSAFE = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/g;
// deno-lint-ignore no-control-regex -- An escape sequence begins with a control character.
const ANSI_ESCAPE = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[@-Z\\-_])/g;

/** Removes terminal escapes, control characters except tab and line feed, and marks that change text direction. */
export function cleanText(text: string): string {
  return text.toWellFormed().replaceAll(ANSI_ESCAPE, "").replaceAll("\r\n", "\n").replaceAll(UNSAFE, "");
}

/** {@link cleanText} on one line of at most `max` UTF-16 code units, cut with an ellipsis. */
export function cleanLine(text: string, max: number): string {
  const line = cleanText(text).replaceAll(/\s+/g, " ").trim();
  return line.length <= max ? line : `${line.slice(0, max - 1).toWellFormed()}…`;
}

const SECRETS: readonly RegExp[] = [
  /nota_[A-Za-z0-9_]{8,}/g,
  /(?<=\b(?:bearer|basic) +)[A-Za-z0-9+/=._~-]{8,}/gi,
  /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g,
  /(?<=:\/\/)[^/\s@]+(?=@)/g, // User and password in a URL.
  /(?<=\bpassword[ =:]+)\S+/gi,
  /(?<=\b(?:secret|token|api[_-]?key)\s*[=:]\s*)\S+/gi,
];

/** Replaces what looks like a token, password or private key. A net under the rule that none is logged at all. */
export function redact(text: string): string {
  return SECRETS.reduce((out, pattern) => out.replaceAll(pattern, "[redacted]"), text);
}

/** The last part of a text that fits `maxBytes` of UTF-8, beginning at a line where there is one. */
export function tailOf(text: string, maxBytes: number): string {
  const bytes = new TextEncoder().encode(text);
  if (bytes.length <= maxBytes) return text;
  // Decoding replaces a character that the cut split; the line it was in goes with it.
  const tail = new TextDecoder().decode(bytes.subarray(bytes.length - maxBytes));
  return tail.slice(tail.indexOf("\n") + 1);
}
