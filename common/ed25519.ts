/**
 * Ed25519 (RFC 8032), verified strictly, so that a signature binds one key to one message.
 *
 * The runtime's own verifier accepts keys of small order, for which one signature is valid for many messages. The
 * checks here bring it to the answers of libsodium and of dalek's `verify_strict` on every published vector.
 * @module
 */
import { equalBytes } from "./base64.ts";
import type { Bytes } from "./canonical.ts";

/** Length of a public key in bytes (RFC 8032 section 5.1.5). */
export const PUBLIC_KEY_BYTES = 32;
/** Length of a signature in bytes (RFC 8032 section 5.1.6). */
export const SIGNATURE_BYTES = 64;

/**
 * The y coordinates of the points of small order, sign bit cleared: orders 1, 2, 4, 8 and 8. With either sign bit
 * and the non-canonical spellings that {@link isCanonicalPoint} refuses they are the 14 encodings of C2SP's CCTV.
 */
const SMALL_ORDER_Y: readonly Bytes[] = [
  "0100000000000000000000000000000000000000000000000000000000000000",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "0000000000000000000000000000000000000000000000000000000000000000",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
].map((hex) => Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16)));

/** The encoded point with its sign bit (the top bit of the last byte) cleared: the y coordinate, little-endian. */
function yOf(point: Bytes): Bytes {
  const y = point.slice();
  y[31] = (y[31] ?? 0) & 0x7f;
  return y;
}

/** Whether y < p = 2^255 - 19 (RFC 8032 section 5.1.3 step 1). */
function isCanonicalPoint(point: Bytes): boolean {
  const y = yOf(point);
  const top = y[31] === 0x7f && y.subarray(1, 31).every((byte) => byte === 0xff);
  return !(top && (y[0] ?? 0) >= 0xed);
}

/**
 * Whether the bytes are 32 and a canonical encoding of something that is not a point of small order (protocol 1.4). It
 * does not ask whether that lies on the curve: verification does.
 */
export function isStrictPoint(point: Bytes): boolean {
  if (point.length !== PUBLIC_KEY_BYTES || !isCanonicalPoint(point)) return false;
  const y = yOf(point);
  return !SMALL_ORDER_Y.some((small) => equalBytes(small, y));
}

/** A public key made ready to verify many signatures, as {@link verifyEd25519}: false for anything that does not verify. */
export type Verifier = (message: Bytes, signature: Bytes) => Promise<boolean>;

/**
 * Makes a public key of 32 bytes ready to verify strictly (protocol 1.4): what takes time for each key is done once.
 *
 * @returns Null for bytes that are no strict point ({@link isStrictPoint}) or no point of the curve at all.
 */
export async function importVerifier(publicKey: Bytes): Promise<Verifier | null> {
  if (!isStrictPoint(publicKey)) return null;
  let key: CryptoKey;
  try {
    key = await crypto.subtle.importKey("raw", publicKey, "Ed25519", false, ["verify"]);
  } catch (error) {
    // DataError: 32 bytes that are no point of the curve. Anything else is a fault of the runtime, not an answer.
    if (error instanceof DOMException) return null;
    throw error;
  }
  return async (message, signature) => {
    if (signature.length !== SIGNATURE_BYTES || !isStrictPoint(signature.slice(0, 32))) return false;
    return await crypto.subtle.verify("Ed25519", key, signature, message);
  };
}

/**
 * Verifies an Ed25519 signature strictly (protocol 1.4): the key A and the signature's R must be canonical (y < p)
 * and not of small order, S < L, and the cofactorless equation of RFC 8032 section 5.1.7 must hold.
 *
 * @param publicKey 32 bytes.
 * @param signature 64 bytes, R then S.
 * @returns False for anything that does not verify, wrong lengths included; it does not throw.
 */
export async function verifyEd25519(publicKey: Bytes, message: Bytes, signature: Bytes): Promise<boolean> {
  const verify = await importVerifier(publicKey);
  return verify !== null && await verify(message, signature);
}
