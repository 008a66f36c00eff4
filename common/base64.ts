/**
 * Base64 and hexadecimal in exactly one form.
 * @module
 */
import type { Bytes } from "./canonical.ts";

/** Standard padded base64 (RFC 4648 section 4). */
export function formatBase64(bytes: Bytes): string {
  return bytes.toBase64();
}

/**
 * Reads standard padded base64 (RFC 4648 section 4), refusing every other spelling of the same bytes: the URL-safe
 * alphabet, missing padding, blanks, and trailing bits that are not zero. Returns null where `text` is not that.
 */
export function parseBase64(text: string): Bytes | null {
  let binary: string;
  try {
    binary = atob(text);
  } catch {
    return null;
  }
  if (btoa(binary) !== text) return null;
  // A plain loop: `Uint8Array.from` over a string takes a hundred times as long.
  const bytes = new Uint8Array(binary.length);
  for (let at = 0; at < bytes.length; at += 1) bytes[at] = binary.charCodeAt(at);
  return bytes;
}

/** Lower-case hexadecimal (RFC 4648 section 8), without a prefix. */
export function formatHex(bytes: Bytes): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Whether two byte strings are equal. Not for secrets: it stops at the first difference. */
export function equalBytes(a: Bytes, b: Bytes): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

/** Joins byte strings into a new one. */
export function concatBytes(...parts: readonly Bytes[]): Bytes {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    out.set(part, offset);
    offset += part.length;
  }
  return out;
}

/** SHA-256 (FIPS 180-4). */
export async function sha256(bytes: Bytes): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}

/** SHA-256 as documents write it (protocol 2.1): `sha256:` and 64 hexadecimal digits. */
export async function digestOf(bytes: Bytes): Promise<string> {
  return `sha256:${formatHex(await sha256(bytes))}`;
}
