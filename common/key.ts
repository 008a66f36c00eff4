/**
 * Public and private Ed25519 keys as people and files write them (protocol 1.5).
 * @module
 */
import { concatBytes, formatBase64, parseBase64, sha256 } from "./base64.ts";
import { type Bytes, encodeUtf8 } from "./canonical.ts";
import { isStrictPoint, PUBLIC_KEY_BYTES } from "./ed25519.ts";
import { cleanLine } from "./text.ts";

/** An Ed25519 public key that passed the strict checks (protocol 1.4). */
export interface PublicKey {
  /** The raw 32 bytes. */
  readonly bytes: Bytes;
  /** The OpenSSH comment or the name before the colon, or null. A label: it proves nothing. */
  readonly name: string | null;
}

/** Something that can sign, without showing its private key. */
export interface Signer {
  readonly publicKey: PublicKey;
  /** Signs the message; 64 bytes. */
  sign(message: Bytes): Promise<Bytes>;
}

/** A key text longer than this is no key, in UTF-16 code units. */
export const KEY_TEXT_MAX = 1024;
/** Longest name of a key that is kept, in UTF-16 code units; longer ones are cut. */
const KEY_NAME_MAX = 200;
const SSH_TYPE = "ssh-ed25519";
const OPENSSH_PATTERN = /^ssh-ed25519[ \t]/;
/** Length of a Nix or libsodium secret key in bytes: seed and public key. */
const SECRET_KEY_BYTES = 64;
const WANTED = "wanted an OpenSSH line (ssh-ed25519 AAAA…), name:base64, or 32 bytes in base64";

/**
 * Reads a public key (protocol 1.5) written as an OpenSSH line (RFC 8709), as `name:base64`, or as the raw 32 bytes in
 * base64; one key, at most {@link KEY_TEXT_MAX}. Keys that are not canonical points or are of small order are refused,
 * for they could be valid for any message.
 *
 * The text is never quoted in an error: it may be a private key pasted by mistake.
 * @throws {TypeError} Saying what was wrong.
 */
export function parsePublicKey(text: string): PublicKey {
  const line = text.trim();
  if (line.includes("PRIVATE KEY")) {
    throw new TypeError("Cannot read the public key as this is a private key (give the .pub file)");
  }
  if (line.length > KEY_TEXT_MAX) throw new TypeError(`Cannot read the public key as it is too long: ${WANTED}`);
  if (/[\r\n]/.test(line)) {
    throw new TypeError(`Cannot read the public key as it has several lines (give one key at a time): ${WANTED}`);
  }
  const key = OPENSSH_PATTERN.test(line) ? fromOpenSsh(line) : fromBase64(line);
  if (!isStrictPoint(key.bytes)) {
    throw new TypeError(
      "Cannot use the public key as it is not a safe Ed25519 point (of small order or not canonical)",
    );
  }
  return key;
}

function fromOpenSsh(line: string): PublicKey {
  const [, encoded = "", ...comment] = line.split(/[ \t]+/);
  const blob = parseBase64(encoded);
  const prefix = sshPrefix();
  const good = blob?.length === prefix.length + PUBLIC_KEY_BYTES && prefix.every((byte, at) => blob[at] === byte);
  if (!blob || !good) throw new TypeError(`Cannot read the public key as its OpenSSH line is damaged: ${WANTED}`);
  return { bytes: blob.slice(prefix.length), name: cleanLine(comment.join(" "), KEY_NAME_MAX) || null };
}

function fromBase64(line: string): PublicKey {
  const colon = line.indexOf(":");
  const bytes = parseBase64(line.slice(colon + 1));
  if (bytes?.length === SECRET_KEY_BYTES) {
    throw new TypeError(
      "Cannot read the public key as this looks like a secret key of 64 bytes (give its public half)",
    );
  }
  if (bytes?.length !== PUBLIC_KEY_BYTES) throw new TypeError(`Cannot read the public key: ${WANTED}`);
  const name = colon < 0 ? null : line.slice(0, colon);
  if (name !== null && !/^[A-Za-z0-9._-]{1,128}$/.test(name)) {
    throw new TypeError(
      "Cannot read the public key as the name before the colon has other characters than A-Za-z0-9._-",
    );
  }
  return { bytes, name };
}

/** `string "ssh-ed25519"` and the length of what follows, in SSH wire form (RFC 8709 section 4). */
function sshPrefix(): Bytes {
  return concatBytes(
    Uint8Array.of(0, 0, 0, SSH_TYPE.length),
    encodeUtf8(SSH_TYPE),
    Uint8Array.of(0, 0, 0, PUBLIC_KEY_BYTES),
  );
}

function sshBlob(key: PublicKey): Bytes {
  return concatBytes(sshPrefix(), key.bytes);
}

/** The raw 32 bytes in base64 (protocol 1.5): what the NixOS option `publicKey` shows. */
export function formatRawPublicKey(key: PublicKey): string {
  return formatBase64(key.bytes);
}

/** One OpenSSH line (RFC 8709 section 4), without a line end; the name is its comment. */
export function formatOpenSshPublicKey(key: PublicKey): string {
  const comment = key.name === null ? "" : ` ${cleanLine(key.name, KEY_NAME_MAX)}`;
  return `${SSH_TYPE} ${formatBase64(sshBlob(key))}${comment}`.trimEnd();
}

/** The OpenSSH fingerprint (protocol 1.5), `SHA256:` and 43 characters: what `ssh-keygen -lf` prints. */
export async function fingerprintOf(key: PublicKey): Promise<string> {
  return `SHA256:${formatBase64(await sha256(sshBlob(key))).replace("=", "")}`;
}

/** An OpenSSH fingerprint; see {@link fingerprintOf}. */
export const FINGERPRINT_PATTERN = /^SHA256:[A-Za-z0-9+/]{43}$/;

const PEM_PATTERN = /^-----BEGIN PRIVATE KEY-----\n([A-Za-z0-9+/=\n]+)\n-----END PRIVATE KEY-----\n?$/;

/** Prints PKCS#8 bytes as PEM (RFC 7468 section 10), lines of 64 characters. */
export function formatPrivateKeyPem(pkcs8: Bytes): string {
  const lines = formatBase64(pkcs8).match(/.{1,64}/g) ?? [];
  return `-----BEGIN PRIVATE KEY-----\n${lines.join("\n")}\n-----END PRIVATE KEY-----\n`;
}

/**
 * Reads one unencrypted PKCS#8 PEM (RFC 7468 section 10) with nothing before or after it. The text is never quoted in an
 * error.
 * @throws {TypeError} Where it is not one.
 */
export function parsePrivateKeyPem(text: string): Bytes {
  const pkcs8 = parseBase64(PEM_PATTERN.exec(text.replaceAll("\r\n", "\n"))?.[1]?.replaceAll("\n", "") ?? "-");
  if (!pkcs8) throw new TypeError('Cannot read the private key: wanted a PKCS#8 PEM ("BEGIN PRIVATE KEY")');
  return pkcs8;
}

/**
 * Makes a signer of PKCS#8 bytes (RFC 8410).
 * @throws {TypeError} Where they hold no Ed25519 key; neither message nor cause holds a byte of them.
 */
export async function signerFromPkcs8(pkcs8: Bytes, name: string | null = null): Promise<Signer> {
  let jwk: JsonWebKey;
  let key: CryptoKey;
  try {
    jwk = await crypto.subtle.exportKey(
      "jwk",
      await crypto.subtle.importKey("pkcs8", pkcs8, "Ed25519", true, ["sign"]),
    );
    key = await crypto.subtle.importKey("pkcs8", pkcs8, "Ed25519", false, ["sign"]);
  } catch {
    // The cause is left out on purpose: it may carry key bytes.
    throw new TypeError("Cannot use the private key as it is not an Ed25519 key in PKCS#8");
  }
  const raw = `${(jwk.x ?? "").replaceAll("-", "+").replaceAll("_", "/")}=`;
  const publicKey: PublicKey = { ...parsePublicKey(raw), name };
  return { publicKey, sign: async (message) => new Uint8Array(await crypto.subtle.sign("Ed25519", key, message)) };
}

/**
 * Makes a new key pair from the runtime's own source of chance: PKCS#8 bytes (RFC 8410) to keep, and a signer over them.
 */
export async function generateKey(name: string | null = null): Promise<{ pkcs8: Bytes; signer: Signer }> {
  // `generateKey` is typed as key or pair; for Ed25519 it is a pair (W3C secure curves, section 3.2).
  const pair = await crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"]) as CryptoKeyPair;
  const pkcs8 = new Uint8Array(await crypto.subtle.exportKey("pkcs8", pair.privateKey));
  return { pkcs8, signer: await signerFromPkcs8(pkcs8, name) };
}
