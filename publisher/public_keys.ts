/**
 * Public keys given on the command line: as text, or as the file that holds one.
 * @module
 */
import { equalBytes, KEY_TEXT_MAX, parsePublicKey, type PublicKey } from "@nix-ota/common";
import { usageError } from "./errors.ts";
import { readInput } from "./files.ts";

/**
 * Reads a public key: an OpenSSH line, `name:base64` or base64 itself, or the name of a file with one of these.
 * @throws {CliError} With exit code 2. The text is not quoted: it may be a private key given by mistake.
 */
export async function readPublicKey(text: string, flag: string): Promise<PublicKey> {
  const asText = tryParse(text);
  if (asText) return asText;
  const isFile = await Deno.stat(text).then((info) => info.isFile, () => false);
  const content = isFile
    ? new TextDecoder().decode(await readInput(text, { what: `the file of ${flag}`, maxBytes: KEY_TEXT_MAX }))
    : text;
  try {
    return parsePublicKey(content);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw usageError(`${flag}: ${error.message}${isFile ? "" : ", or the name of a file that holds one"}`, error);
  }
}

function tryParse(text: string): PublicKey | null {
  try {
    return parsePublicKey(text);
  } catch {
    return null; // A file name, or damaged: the second look tells.
  }
}

/** Reads several, and refuses the same key twice: two of the same must not count for a threshold. */
export async function readPublicKeys(texts: readonly string[], flag: string): Promise<readonly PublicKey[]> {
  const keys: PublicKey[] = [];
  for (const text of texts) {
    const key = await readPublicKey(text, flag);
    if (keys.some(({ bytes }) => equalBytes(bytes, key.bytes))) throw usageError(`${flag} names the same key twice`);
    keys.push(key);
  }
  return keys;
}
