/**
 * The device's own key: made on first start, never leaves the machine (protocol 4.1).
 * @module
 */
import {
  decodeUtf8,
  encodeUtf8,
  fingerprintOf,
  formatPrivateKeyPem,
  generateKey,
  messageOf,
  parsePrivateKeyPem,
  type Signer,
  signerFromPkcs8,
} from "@nix-ota/common";
import { writeDurably } from "./atomic_file.ts";
import type { Context } from "./context.ts";

/** The device as its server knows it. */
export interface Identity {
  readonly signer: Signer;
  /** OpenSSH fingerprint of the public key: what an operator compares before accepting the device. */
  readonly fingerprint: string;
}

/** Largest key file in bytes: a PKCS#8 PEM of an Ed25519 key has 119. */
const KEY_MAX_BYTES = 4096;

/**
 * Reads the device's key, or makes it. One that cannot be used is kept aside: with a new key the device is another one to
 * its server and waits for an operator, but it goes on.
 */
export async function openIdentity({ system, paths }: Pick<Context, "system" | "paths">): Promise<Identity> {
  const signer = await readKey(system, paths.deviceKey) ?? await makeKey(system, paths.deviceKey);
  return { signer, fingerprint: await fingerprintOf(signer.publicKey) };
}

async function readKey(system: Context["system"], path: string): Promise<Signer | null> {
  const content = await system.files.read(path, KEY_MAX_BYTES);
  if (content === null) return null;
  try {
    return await signerFromPkcs8(parsePrivateKeyPem(decodeUtf8(content)));
  } catch (error) {
    system.log("error", "the device key cannot be used and is kept aside: an operator has to accept the device anew", {
      file: `${path}.broken`,
      detail: messageOf(error),
    });
    await system.files.rename(path, `${path}.broken`);
    return null;
  }
}

async function makeKey(system: Context["system"], path: string): Promise<Signer> {
  const { pkcs8, signer } = await generateKey();
  await writeDurably(system.files, { path, content: encodeUtf8(formatPrivateKeyPem(pkcs8)), mode: 0o600 });
  system.log("info", "made the device key", { fingerprint: await fingerprintOf(signer.publicKey) });
  return signer;
}
