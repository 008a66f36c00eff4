/**
 * Which passphrase source a command was told to use.
 * @module
 */
import { interrupted, usageError } from "../errors.ts";
import { processTerminal, promptSecret } from "../ui/prompt.ts";
import { type AskPassphrase, readPassphraseFile } from "./passphrase.ts";

/** Asks for the passphrase of an existing key: the file that was named, else the terminal. */
export function passphraseFor(file: string | undefined): AskPassphrase {
  if (file !== undefined) return () => readPassphraseFile(file);
  return async (path) => {
    const terminal = processTerminal();
    if (!terminal.isTerminal) {
      throw usageError(
        `Cannot use the key ${JSON.stringify(path)}: it is encrypted and stdin is no terminal to ask for the ` +
          "passphrase on (give --passphrase-file)",
      );
    }
    return await promptSecret(`Passphrase for ${path}: `, terminal) ?? stop();
  };
}

/** Asks for a new passphrase, twice. */
export async function newPassphrase(path: string): Promise<string> {
  const terminal = processTerminal();
  if (!terminal.isTerminal) {
    throw usageError("Cannot ask for the passphrase as stdin is no terminal (give it with --passphrase-file)");
  }
  const first = await promptSecret(`New passphrase for ${path}: `, terminal) ?? stop();
  const second = await promptSecret("The same again: ", terminal) ?? stop();
  if (first !== second) throw usageError("Cannot use the passphrase as the two are not the same");
  return first;
}

function stop(): never {
  throw interrupted("asking for the passphrase");
}
