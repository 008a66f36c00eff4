/**
 * Encrypts PKCS#8 keys with a passphrase: PBES2 of RFC 8018 with PBKDF2-HMAC-SHA256 and AES-256-CBC, which OpenSSL and
 * every other reader of PKCS#8 knows.
 * @module
 */
import { type Bytes, concatBytes, encodeUtf8, formatBase64 } from "@nix-ota/common";

/** Rounds of PBKDF2: OWASP's figure for HMAC-SHA256 (2023); OpenSSL itself would take 2048. */
export const PBKDF2_ROUNDS = 600_000;
const SALT_BYTES = 16;
const IV_BYTES = 16;

const INTEGER = 0x02;
const OCTETS = 0x04;
const SEQUENCE = 0x30;
const NULL = Uint8Array.of(0x05, 0x00);

/** Object identifiers in DER. */
const OID = {
  pbes2: hex("06092a864886f70d01050d"),
  pbkdf2: hex("06092a864886f70d01050c"),
  hmacSha256: hex("06082a864886f70d0209"),
  aes256Cbc: hex("060960864801650304012a"),
};

function hex(text: string): Bytes {
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

/** One element of DER (X.690) with less than 64 KiB of content. */
function der(tag: number, ...parts: readonly Bytes[]): Bytes {
  const content = concatBytes(...parts);
  const { length } = content;
  const head = length < 0x80
    ? [tag, length]
    : length < 0x100
    ? [tag, 0x81, length]
    : [tag, 0x82, length >> 8, length & 0xff];
  return concatBytes(Uint8Array.from(head), content);
}

/** A DER integer of three bytes; {@link PBKDF2_ROUNDS} fits with a clear sign bit. */
function derInteger(value: number): Bytes {
  return der(INTEGER, Uint8Array.of((value >> 16) & 0x7f, (value >> 8) & 0xff, value & 0xff));
}

/** Encrypts PKCS#8 bytes and prints them as PEM (`BEGIN ENCRYPTED PRIVATE KEY`). */
export async function encryptPkcs8(pkcs8: Bytes, passphrase: string): Promise<string> {
  const salt = crypto.getRandomValues(new Uint8Array(SALT_BYTES));
  const iv = crypto.getRandomValues(new Uint8Array(IV_BYTES));
  const base = await crypto.subtle.importKey("raw", encodeUtf8(passphrase), "PBKDF2", false, ["deriveKey"]);
  const key = await crypto.subtle.deriveKey(
    { name: "PBKDF2", hash: "SHA-256", salt, iterations: PBKDF2_ROUNDS },
    base,
    { name: "AES-CBC", length: 256 },
    false,
    ["encrypt"],
  );
  const encrypted = new Uint8Array(await crypto.subtle.encrypt({ name: "AES-CBC", iv }, key, pkcs8));
  const derivation = der(
    SEQUENCE,
    OID.pbkdf2,
    der(SEQUENCE, der(OCTETS, salt), derInteger(PBKDF2_ROUNDS), der(SEQUENCE, OID.hmacSha256, NULL)),
  );
  const cipher = der(SEQUENCE, OID.aes256Cbc, der(OCTETS, iv));
  const algorithm = der(SEQUENCE, OID.pbes2, der(SEQUENCE, derivation, cipher));
  const lines = formatBase64(der(SEQUENCE, algorithm, der(OCTETS, encrypted))).match(/.{1,64}/g) ?? [];
  return `-----BEGIN ENCRYPTED PRIVATE KEY-----\n${lines.join("\n")}\n-----END ENCRYPTED PRIVATE KEY-----\n`;
}
