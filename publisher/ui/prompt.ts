/**
 * Asking for a secret on the terminal.
 * @module
 */
import { decodeUtf8 } from "@nix-ota/common";
import { usageError } from "../errors.ts";

/** Longest secret in bytes. */
export const SECRET_MAX_BYTES = 1024;

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
export async function promptSecret(prompt: string, terminal: PromptTerminal): Promise<string | null> {
  if (!terminal.isTerminal) {
    throw usageError("Cannot ask for a secret as stdin is no terminal (give it in a file)");
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
      else if (typed.length < SECRET_MAX_BYTES) typed.push(byte);
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
