/**
 * Where passphrases come from: a terminal, a file, or an open descriptor (`/dev/fd/3`). Never from the command line or
 * the environment, which other processes can read.
 * @module
 */
import { decodeUtf8 } from "@nix-ota/common";
import { usageError } from "../errors.ts";
import { readInput } from "../files.ts";

/** Longest passphrase in bytes. */
export const PASSPHRASE_MAX_BYTES = 1024;
/** Shortest passphrase for a new key, in UTF-16 code units. */
export const PASSPHRASE_MIN = 8;

/** Asks for a passphrase; `purpose` is what it is for, such as the key's file. */
export type AskPassphrase = (purpose: string) => Promise<string>;

/** A passphrase from a file: its first line. @throws {CliError} With exit code 2. */
export async function readPassphraseFile(path: string): Promise<string> {
  const bytes = await readInput(path, { what: "the passphrase file", maxBytes: PASSPHRASE_MAX_BYTES });
  let text: string;
  try {
    text = decodeUtf8(bytes);
  } catch {
    throw usageError(`Cannot use the passphrase file ${JSON.stringify(path)} as it is not UTF-8 text`);
  }
  const [line = "", ...rest] = text.split(/\r?\n/);
  if (rest.some((other) => other !== "")) {
    throw usageError(`Cannot use the passphrase file ${JSON.stringify(path)} as it has more than one line`);
  }
  if (line === "") throw usageError(`Cannot use the passphrase file ${JSON.stringify(path)} as it is empty`);
  return line;
}

/** A new passphrase must be worth the name. */
export function checkNewPassphrase(passphrase: string): string {
  if (passphrase.length >= PASSPHRASE_MIN) return passphrase;
  throw usageError(`Cannot use the passphrase as it is too short: wanted at least ${PASSPHRASE_MIN} characters`);
}
