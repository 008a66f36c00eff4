/**
 * Files that must be whole or not there at all.
 * @module
 */
import type { Bytes } from "@nix-ota/common";
import { usageError } from "./errors.ts";

/** The directory of a file, as written. */
export function directoryOf(path: string): string {
  const at = path.lastIndexOf("/");
  return at < 0 ? "." : at === 0 ? "/" : path.slice(0, at);
}

/** The last part of a path. */
export function baseOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** A clause for people out of what the system said of a file. */
export function fileReason(error: unknown): string {
  if (error instanceof Deno.errors.NotFound) return "it does not exist";
  if (error instanceof Deno.errors.PermissionDenied || error instanceof Deno.errors.NotCapable) {
    return "permission denied";
  }
  if (error instanceof Deno.errors.IsADirectory) return "it is a directory";
  if (error instanceof Deno.errors.NotADirectory) return "a part of the path is no directory";
  if (error instanceof Deno.errors.AlreadyExists) return "it already exists";
  if (error instanceof Deno.errors.FilesystemLoop) return "its links go round in a circle";
  const text = error instanceof Error ? error.message : String(error);
  return text.replace(/ \(os error \d+\).*$/s, "").toLowerCase();
}

/** Reads at most `maxBytes` of an open file; null where it has more. */
export async function readAtMost(
  file: { read(p: Uint8Array): Promise<number | null> },
  maxBytes: number,
): Promise<Bytes | null> {
  const bytes = new Uint8Array(maxBytes + 1);
  let size = 0;
  for (;;) {
    const count = await file.read(bytes.subarray(size));
    if (count === null) return bytes.slice(0, size);
    size += count;
    if (size > maxBytes) return null;
  }
}

/**
 * Reads a file that an option names; `-` is stdin.
 * @throws {CliError} With exit code 2.
 */
export async function readInput(path: string, { what, maxBytes }: { what: string; maxBytes: number }): Promise<Bytes> {
  let bytes: Bytes | null;
  try {
    if (path === "-") {
      bytes = await readAtMost(Deno.stdin, maxBytes);
    } else {
      using file = await Deno.open(path);
      bytes = await readAtMost(file, maxBytes);
    }
  } catch (error) {
    throw usageError(`Cannot read ${what} ${JSON.stringify(path)}: ${fileReason(error)}`, error);
  }
  if (bytes) return bytes;
  throw usageError(`Cannot read ${what} ${JSON.stringify(path)} as it has more than ${maxBytes} bytes`);
}

/** Makes what is in the directory survive a power cut. */
export function syncDirectory(path: string): void {
  using directory = Deno.openSync(path);
  directory.syncSync();
}

function temporaryBeside(path: string): string {
  return `${directoryOf(path)}/.${baseOf(path)}.${crypto.randomUUID().slice(0, 8)}.tmp`;
}

/** Writes a new file beside its final place, synced to the disk; its name is returned. */
function writeTemporary(path: string, content: Bytes | string, mode: number): string {
  const temporary = temporaryBeside(path);
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  try {
    using file = Deno.openSync(temporary, { write: true, createNew: true, mode });
    for (let offset = 0; offset < bytes.length;) offset += file.writeSync(bytes.subarray(offset));
    Deno.chmodSync(temporary, mode); // Whatever the umask left out.
    file.syncSync();
  } catch (error) {
    removeQuietly(temporary);
    throw error;
  }
  return temporary;
}

function removeQuietly(path: string): void {
  try {
    Deno.removeSync(path);
  } catch {
    // It was not there: nothing is left behind, which is all that was wanted.
  }
}

/** A file to be made by {@link createFiles}. */
export interface NewFile {
  readonly path: string;
  readonly content: Bytes | string;
  readonly mode: number;
}

/**
 * Makes new files, all or none, each whole and on the disk: written beside, synced, then linked to its name, which
 * fails where something has the name already. Runs without a break, so that Ctrl-C cannot come in between.
 *
 * @throws Whatever the system says; nothing is left behind then.
 */
export function createFiles(files: readonly NewFile[]): void {
  const temporaries: string[] = [];
  const made: string[] = [];
  try {
    for (const { path, content, mode } of files) temporaries.push(writeTemporary(path, content, mode));
    files.forEach(({ path }, index) => {
      // One temporary was pushed for each file.
      Deno.linkSync(temporaries[index]!, path);
      made.push(path);
    });
    for (const directory of new Set(files.map(({ path }) => directoryOf(path)))) syncDirectory(directory);
  } catch (error) {
    made.forEach(removeQuietly);
    throw error;
  } finally {
    temporaries.forEach(removeQuietly);
  }
}

/** Writes a file whole, in place of an older one: written beside, synced, renamed. */
export function replaceFile({ path, content, mode }: NewFile): void {
  const temporary = writeTemporary(path, content, mode);
  try {
    Deno.renameSync(temporary, path);
    syncDirectory(directoryOf(path));
  } catch (error) {
    removeQuietly(temporary);
    throw error;
  }
}
