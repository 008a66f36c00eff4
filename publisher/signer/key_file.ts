/**
 * Private keys in files: who may read them, what they must be, how they are opened.
 * @module
 */
import { createPrivateKey } from "node:crypto";
import { Buffer } from "node:buffer";
import { type Bytes, decodeUtf8, parsePrivateKeyPem, type Signer, signerFromPkcs8 } from "@nix-ota/common";
import { CliError, EXIT } from "../errors.ts";
import { fileReason, readAtMost } from "../files.ts";
import type { AskPassphrase } from "./passphrase.ts";

/** Largest private key file in bytes: an encrypted Ed25519 key has some 400. */
export const KEY_FILE_MAX_BYTES = 16 * 1024;

/** What matters of a file's metadata. */
export interface KeyFileFacts {
  readonly path: string;
  /** The path with every link followed. */
  readonly realPath: string;
  readonly isFile: boolean;
  /** Permission bits. */
  readonly mode: number;
  /** Owner of the file and, where the path itself is a link, of the link. */
  readonly owners: readonly number[];
  /** Who runs this program. */
  readonly uid: number;
}

function unusable(path: string, problem: string, cause?: unknown): CliError {
  return new CliError(EXIT.usage, `Cannot use the key ${JSON.stringify(path)}: ${problem}`, {
    code: "key_unusable",
    cause,
  });
}

/** Whether only its owner can have read or changed the key. @throws {CliError} Saying what to do. */
export function checkKeyFile({ path, realPath, isFile, mode, owners, uid }: KeyFileFacts): void {
  if (realPath.startsWith("/nix/store/")) {
    throw unusable(path, "it is in the Nix store, where everybody can read it (make a new key, this one is public)");
  }
  if (!isFile) throw unusable(path, "it is not a regular file");
  if (owners.some((owner) => owner !== uid && owner !== 0)) {
    throw unusable(path, "the file, or the link to it, belongs to another user");
  }
  if ((mode & 0o077) !== 0) {
    const found = (mode & 0o777).toString(8).padStart(4, "0");
    throw unusable(path, `others can read or change it: wanted the mode 0600, found ${found} (chmod 600 ${path})`);
  }
}

/**
 * Reads a private key for signing.
 *
 * @param ask Asked once where the key is encrypted.
 * @throws {CliError} With exit code 2; the key's text is never quoted.
 */
export async function readSigner(path: string, ask: AskPassphrase): Promise<Signer> {
  const bytes = await readKeyFile(path);
  let text: string;
  try {
    text = decodeUtf8(bytes);
  } catch {
    throw unusable(path, "it is not a text file: wanted a PKCS#8 PEM such as nix-ota keygen writes");
  }
  const other = otherKind(text);
  if (other !== null) throw unusable(path, other);
  try {
    const encrypted = text.includes("BEGIN ENCRYPTED PRIVATE KEY");
    return await signerFromPkcs8(encrypted ? decryptPkcs8(path, text, await ask(path)) : parsePrivateKeyPem(text));
  } catch (error) {
    if (error instanceof CliError) throw error;
    throw unusable(path, "it holds no Ed25519 key in PKCS#8 PEM, such as nix-ota keygen writes", error);
  }
}

async function readKeyFile(path: string): Promise<Bytes> {
  let bytes: Bytes | null;
  try {
    const link = await Deno.lstat(path);
    const realPath = await Deno.realPath(path);
    using file = await Deno.open(realPath);
    const info = await file.stat(); // Of the file that was opened, not of whatever has its name now.
    checkKeyFile({
      path,
      realPath,
      isFile: info.isFile,
      mode: info.mode ?? 0,
      owners: [link.uid ?? 0, info.uid ?? 0],
      uid: Deno.uid() ?? 0,
    });
    bytes = await readAtMost(file, KEY_FILE_MAX_BYTES);
  } catch (error) {
    if (error instanceof CliError) throw error;
    throw unusable(path, fileReason(error), error);
  }
  if (bytes) return bytes;
  throw unusable(path, `it has more than ${KEY_FILE_MAX_BYTES} bytes and so is no key`);
}

/** Other files that people give by mistake, and what to say of them; null where it may be a key. */
export function otherKind(text: string): string | null {
  if (text.startsWith("ssh-ed25519 ")) return "it is a public key (give the file without .pub)";
  if (text.includes("BEGIN OPENSSH PRIVATE KEY")) {
    return "it is an OpenSSH key: wanted PKCS#8 PEM (make a release key with nix-ota keygen)";
  }
  if (/^[A-Za-z0-9._-]+:[A-Za-z0-9+/]{86}==\s*$/.test(text)) {
    return "it is the secret key of a binary cache: wanted a release key (make one with nix-ota keygen)";
  }
  if (text.includes("BEGIN PUBLIC KEY")) return "it is a public key: wanted the private one";
  return null;
}

function decryptPkcs8(path: string, pem: string, passphrase: string): Bytes {
  try {
    const key = createPrivateKey({ key: pem, format: "pem", passphrase: Buffer.from(passphrase, "utf-8") });
    const der = key.export({ type: "pkcs8", format: "der" });
    return Uint8Array.from(der);
  } catch {
    // The cause may quote what was decrypted, so it is left out.
    throw unusable(path, "it cannot be decrypted: the passphrase is wrong, or the file is damaged");
  }
}
