/** A consistent copy of the database, also while a server writes. */
import { backup, DatabaseSync } from "node:sqlite";
import { messageOf } from "@nix-ota/common";
import { databasePathIn } from "./data_dir.ts";
import { openReadOnly } from "./store/database.ts";

/**
 * Copies the database of a data directory to a file of its own (0600): to a temporary name first, which is synced and
 * then given the final one, so that a file under that name is whole.
 *
 * @returns The size of the copy in bytes.
 * @throws {Error} Where there is no database, the file exists, or the copy cannot be written.
 */
export async function backUp(dataDir: string, file: string): Promise<number> {
  const source = databasePathIn(dataDir);
  if (!exists(source)) throw new Error(`Cannot back up "${source}" as it does not exist (is this the --data-dir?)`);
  if (exists(file)) throw new Error(`Cannot back up to "${file}" as it exists (choose another name)`);
  const temporary = `${file}.${crypto.randomUUID()}.part`;
  try {
    Deno.openSync(temporary, { createNew: true, write: true, mode: 0o600 }).close();
    await copyDatabase(source, temporary);
    Deno.linkSync(temporary, file); // A link refuses to replace a file; a rename would not.
    syncDirectory(file);
    return Deno.statSync(file).size;
  } catch (cause) {
    const why = cause instanceof Deno.errors.AlreadyExists ? "it exists (choose another name)" : messageOf(cause);
    throw new Error(`Cannot back up to "${file}": ${why}`, { cause });
  } finally {
    if (exists(temporary)) Deno.removeSync(temporary);
  }
}

/** Pages copied at a time: all of them, in one look at the database. In steps, each write between two would begin it anew. */
const ALL_PAGES = 2 ** 31 - 1;

async function copyDatabase(source: string, target: string): Promise<void> {
  const db = openReadOnly(source);
  try {
    await backup(db, target, { rate: ALL_PAGES });
  } finally {
    db.close();
  }
  // A file for itself: in WAL mode even a reader would put two more beside it.
  const whole = new DatabaseSync(target);
  whole.exec("PRAGMA journal_mode = DELETE");
  whole.close();
  const copy = Deno.openSync(target, { write: true });
  copy.syncSync();
  copy.close();
}

function syncDirectory(file: string): void {
  const at = file.lastIndexOf("/");
  const directory = Deno.openSync(at < 0 ? "." : file.slice(0, at + 1));
  directory.syncSync();
  directory.close();
}

function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
