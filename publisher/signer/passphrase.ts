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

/** The part of a terminal that a prompt needs. */
export interface PromptTerminal {
  readonly isTerminal: boolean;
  /** One byte or more; null at the end of input. */
  read(): Promise<Uint8Array | null>;
  write(text: string): void;
  setRaw(raw: boolean): void;
}

const ENTER = [0x0a, 0x0d];
const CTRL_C = 0x03;
const CTRL_D = 0x04;
const CTRL_U = 0x15;
const BACKSPACE = [0x08, 0x7f];

/**
 * Asks on the terminal without showing what is typed.
 * @returns Null where the user pressed Ctrl-C or Ctrl-D.
 * @throws {CliError} With exit code 2 where there is no terminal.
 */
export async function promptPassphrase(prompt: string, terminal: PromptTerminal): Promise<string | null> {
  if (!terminal.isTerminal) {
    throw usageError("Cannot ask for the passphrase as stdin is no terminal (give it with --passphrase-file)");
  }
  terminal.setRaw(true); // First: whoever answers quickly must not see it on the screen.
  try {
    terminal.write(prompt);
    return await readLine(terminal);
  } finally {
    terminal.setRaw(false);
    terminal.write("\n");
  }
}

async function readLine(terminal: PromptTerminal): Promise<string | null> {
  const typed: number[] = [];
  for (;;) {
    const bytes = await terminal.read();
    if (bytes === null) return null;
    for (const byte of bytes) {
      if (ENTER.includes(byte)) return decodeUtf8(Uint8Array.from(typed));
      if (byte === CTRL_C || byte === CTRL_D) return null;
      if (byte === CTRL_U) typed.length = 0;
      else if (BACKSPACE.includes(byte)) dropCharacter(typed);
      else if (typed.length < PASSPHRASE_MAX_BYTES) typed.push(byte);
    }
  }
}

/** Removes the last UTF-8 character: continuation bytes are 10xxxxxx. */
function dropCharacter(typed: number[]): void {
  while (((typed.pop() ?? 0) & 0xc0) === 0x80);
}

/** The terminal of this process: stdin, with the question on stderr. */
export function processTerminal(): PromptTerminal {
  return {
    isTerminal: Deno.stdin.isTerminal(),
    read: async () => {
      const bytes = new Uint8Array(256);
      const count = await Deno.stdin.read(bytes);
      return count === null ? null : bytes.subarray(0, count);
    },
    write: (text) => void Deno.stderr.writeSync(new TextEncoder().encode(text)),
    setRaw: (raw) => Deno.stdin.setRaw(raw),
  };
}
