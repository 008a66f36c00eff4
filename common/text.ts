/**
 * Text from elsewhere, made safe to show and to log.
 * @module
 */

/** Control characters, and the marks that turn the direction of text round (Unicode's Bidi_Control) or hide in it. */
const UNSAFE =
  // deno-lint-ignore no-control-regex -- These are the very characters to remove.
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

/** Line ends of every kind; a lone CR is what a progress bar ends a line with. */
const LINE_END = /\r\n?|[\u0085\u2028\u2029]/g;

/**
 * Escape sequences of ECMA-48: with parameters (CSI), strings with their terminator (OSC, DCS and the like), and short
 * ones. A string without its terminator loses only its beginning, or it would hide the rest of the text.
 */
const ANSI_ESCAPE =
  // deno-lint-ignore no-control-regex -- An escape sequence begins with a control character.
  /\u001b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\u0007\u001b\n]*(?:\u0007|\u001b\\)|[ -/]*[0-~])/g;

/**
 * Removes terminal escapes (ECMA-48), control characters except tab and line feed, and marks that change text
 * direction; every
 * line end becomes a line feed and every lone surrogate U+FFFD. Time grows with the length of the text, no faster.
 */
export function cleanText(text: string): string {
  return text.toWellFormed().replaceAll(ANSI_ESCAPE, "").replaceAll(LINE_END, "\n").replaceAll(UNSAFE, "");
}

/** {@link cleanText} on one line of at most `max` (>= 1) UTF-16 code units, cut with an ellipsis. */
export function cleanLine(text: string, max: number): string {
  const line = cleanText(text).replaceAll(/\s+/g, " ").trim();
  return line.length <= max ? line : `${line.slice(0, max - 1).toWellFormed()}…`;
}

/** Text in JSON's quotes, with what {@link cleanText} would remove written as escapes: for error messages. */
export function quoteText(text: string): string {
  return JSON.stringify(text).replaceAll(
    UNSAFE,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

const SECRET_WORD = "(?:passw(?:or)?d|passphrase|secret|token|api[_-]?key|private[_-]?key)";

/**
 * What to look for; the group is kept. Each pattern begins with fixed letters and none looks back, so
 * that a log of 64 KiB of blanks or equal signs costs microseconds and not seconds.
 */
const SECRETS: readonly RegExp[] = [
  /()-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g,
  /()nota_[A-Za-z0-9_]{8,}/g,
  /\b(bearer +)[A-Za-z0-9+/=._~-]{8,}/gi,
  /\b(authorization["']?\s*[=:]\s*["']?[a-z]{1,16} +)\S+/gi,
  /(:\/\/)[^/\s@]+(?=@)/g, // User and password in a URL.
  /(:)[A-Za-z0-9+/]{86}==/g, // A secret key of Nix. Its signatures look the same and are no loss.
  new RegExp(`(${SECRET_WORD}[A-Za-z0-9_-]{0,32}["']?\\s*[=:]\\s*)(?:"[^"]*"|'[^']*'|\\S+)`, "gi"),
  /(\bpassword +)\S+/gi,
];

/**
 * Replaces what looks like a token, password or private key: `nota_…`, `Bearer …`, `https://user:password@…`,
 * `password=…`, `"token":"…"`, PEM blocks, secret keys of Nix. A net under the rule that none is logged at all.
 */
export function redact(text: string): string {
  return SECRETS.reduce((out, pattern) => out.replaceAll(pattern, "$1[redacted]"), text);
}

const LINE_FEED = 0x0a;

/** The last part of a text that fits `maxBytes` of UTF-8 (protocol 4.7), beginning at a line where there is one. */
export function tailOf(text: string, maxBytes: number): string {
  const bytes = new TextEncoder().encode(text);
  if (bytes.length <= maxBytes) return text;
  let start = bytes.length - maxBytes;
  // Bytes 10xxxxxx go on with a character that the cut split: it is left out whole.
  while ((bytes[start] ?? 0) >> 6 === 0b10) start += 1;
  const tail = new TextDecoder().decode(bytes.subarray(start));
  if (bytes[start - 1] === LINE_FEED) return tail;
  const line = tail.indexOf("\n") + 1;
  return line < tail.length ? tail.slice(line) : tail;
}
