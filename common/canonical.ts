/**
 * Strict JSON: one text for one value, so that every program that reads a signed document sees the same thing.
 * @module
 */
import { OtaError } from "./errors.ts";

/** Bytes backed by an ordinary buffer, as WebCrypto and files want them. */
export type Bytes = Uint8Array<ArrayBuffer>;

/** Deepest nesting of lists and objects in a signed document (protocol 1.3). V8 itself would read 200,000 levels. */
export const JSON_DEPTH_MAX = 8;

/** Any JSON value (RFC 8259). */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/**
 * Decodes UTF-8 (RFC 3629) and refuses what is not; a byte-order mark is kept, and so refused by JSON later.
 * @throws {OtaError} `encoding_invalid`.
 */
export function decodeUtf8(bytes: Bytes): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new OtaError("encoding_invalid", "Cannot read the document as it is not valid UTF-8", { cause });
  }
}

/** Encodes text as UTF-8 (RFC 3629); a lone surrogate becomes U+FFFD. */
export function encodeUtf8(text: string): Bytes {
  return new TextEncoder().encode(text);
}

/**
 * Reads canonical JSON (protocol 1.3): the text must be exactly what `JSON.stringify(JSON.parse(text))` prints, all
 * strings well-formed, at most {@link JSON_DEPTH_MAX} levels deep, numbers integers of at most 2^53-1. That one gate
 * refuses duplicate keys, `1.0`, `1e3`, `-0`, byte-order marks, blanks and escapes that another parser could read
 * differently.
 *
 * @throws {OtaError} `encoding_invalid` or `json_not_canonical`.
 */
export function parseCanonicalJson(bytes: Bytes): Json {
  const text = decodeUtf8(bytes);
  let value: Json;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new OtaError("json_not_canonical", "Cannot read the document as it is not JSON", { cause });
  }
  checkValue(value, 0);
  if (JSON.stringify(value) !== text) {
    throw new OtaError(
      "json_not_canonical",
      "Cannot read the document as its JSON is not canonical: wanted no blanks, no duplicate keys and no number or " +
        "string written in another form than JSON.stringify writes",
    );
  }
  return value;
}

/**
 * Prints a value in canonical form (protocol 1.3); key order is the order of insertion. It checks nothing: a fraction, a
 * lone surrogate or too deep a value is printed, and refused by {@link parseCanonicalJson}.
 */
export function formatCanonicalJson(value: Json): string {
  return JSON.stringify(value);
}

function checkValue(value: Json, depth: number): void {
  if (typeof value === "number") return checkNumber(value);
  if (typeof value === "string") return checkString(value);
  if (typeof value !== "object" || value === null) return;
  if (depth >= JSON_DEPTH_MAX) {
    throw new OtaError(
      "json_not_canonical",
      `Cannot read the document as it nests deeper than ${JSON_DEPTH_MAX} levels`,
    );
  }
  if (isList(value)) {
    for (const member of value) checkValue(member, depth + 1);
    return;
  }
  for (const [key, member] of Object.entries(value)) {
    checkString(key);
    checkValue(member, depth + 1);
  }
}

/** `Array.isArray`, which does not narrow lists that are read-only. */
function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}

function checkNumber(value: number): void {
  if (Number.isSafeInteger(value)) return;
  throw new OtaError("json_not_canonical", "Cannot read the document as it holds a number that is not a safe integer");
}

function checkString(text: string): void {
  if (text.isWellFormed()) return;
  throw new OtaError("json_not_canonical", "Cannot read the document as it holds a string with a lone surrogate");
}
