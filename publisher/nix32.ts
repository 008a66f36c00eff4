/**
 * Nix's own base 32: little-endian, without e, o, t and u (NixOS/nix src/libutil/base-nix-32.cc).
 * @module
 */
import { type Bytes, formatBase64, parseBase64 } from "@nix-ota/common";

const ALPHABET = "0123456789abcdfghijklmnpqrsvwxyz";
const SHA256_BYTES = 32;

/** Prints bytes in Nix's base 32: the last bits first. */
export function formatNix32(bytes: Bytes): string {
  const length = Math.ceil((bytes.length * 8) / 5);
  let text = "";
  for (let n = length - 1; n >= 0; n--) {
    const bit = n * 5;
    const at = bit >> 3;
    const shift = bit & 7;
    const pair = ((bytes[at] ?? 0) >> shift) | (((bytes[at + 1] ?? 0) << 8) >> shift);
    text += ALPHABET[pair & 0x1f];
  }
  return text;
}

/** Reads `byteCount` bytes of Nix's base 32, or null where `text` is not exactly that. */
export function parseNix32(text: string, byteCount: number): Bytes | null {
  if (text.length !== Math.ceil((byteCount * 8) / 5)) return null;
  const bytes = new Uint8Array(byteCount);
  for (let n = 0; n < text.length; n++) {
    const digit = ALPHABET.indexOf(text[text.length - n - 1] ?? "");
    if (digit < 0) return null;
    const bit = n * 5;
    const at = bit >> 3;
    const wide = digit << (bit & 7);
    bytes[at] = (bytes[at] ?? 0) | (wide & 0xff);
    const carry = wide >> 8;
    if (at + 1 < byteCount) bytes[at + 1] = (bytes[at + 1] ?? 0) | carry;
    else if (carry !== 0) return null; // Bits beyond the last byte.
  }
  return bytes;
}

/**
 * Reads a SHA-256 in any form that Nix prints: `sha256-<base64>` or `sha256:` with base 32, base 16 or base64.
 * @returns The 32 bytes, or null.
 */
export function parseSha256(text: string): Bytes | null {
  const [, separator, value = ""] = /^sha256([-:])([0-9A-Za-z+/=]{43,64})$/.exec(text) ?? [];
  if (separator === undefined) return null;
  const bytes = separator === "-" || value.length === 44
    ? parseBase64(value)
    : value.length === 52
    ? parseNix32(value, SHA256_BYTES)
    : parseHex(value);
  return bytes?.length === SHA256_BYTES ? bytes : null;
}

function parseHex(text: string): Bytes | null {
  if (!/^[0-9a-f]{64}$/.test(text)) return null;
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

/** `sha256-<base64>`: how releases and current Nix write a NAR hash. */
export function formatSri(bytes: Bytes): string {
  return `sha256-${formatBase64(bytes)}`;
}
