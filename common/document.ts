/**
 * The common step of every signed document: canonical JSON, then its schema (protocol 1.3).
 * @module
 */
import { type Bytes, encodeUtf8, formatCanonicalJson, type Json, parseCanonicalJson } from "./canonical.ts";
import { OtaError } from "./errors.ts";
import { type Parser, SchemaError } from "./schema.ts";

/**
 * Reads a signed payload (protocol 1.3): the JSON gate, then the parser of its kind.
 * @throws {OtaError} `payload_not_canonical` or `payload_invalid`.
 */
export function parsePayload<T>(payload: Bytes, parser: Parser<T>): T {
  try {
    return parser(parseCanonicalJson(payload), "payload");
  } catch (error) {
    if (error instanceof SchemaError) {
      throw new OtaError("payload_invalid", `Cannot read the signed payload: ${error.message}`, { cause: error });
    }
    if (error instanceof OtaError) throw new OtaError("payload_not_canonical", error.message, { cause: error });
    throw error;
  }
}

/**
 * The canonical payload bytes of a document (protocol 1.3). Its own parser is run on it first, so nothing invalid is
 * ever signed.
 * @throws {SchemaError} If the parser refuses it.
 */
export function formatDocument<T>(parser: Parser<T>, document: T): Bytes {
  const parsed = parser(document, "document");
  // Every document parser returns plain JSON: objects and lists whose leaves are strings, integers, booleans or null.
  return encodeUtf8(formatCanonicalJson(parsed as Json));
}
