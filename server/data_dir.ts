/**
 * The data directory: made private, held by one server at a time, with the secrets that are made at first start.
 * @module
 */
import { messageOf } from "@nix-ota/common";
import { makeToken } from "./tokens.ts";

/** Names of the files in it. */
const FILES = { database: "nix-ota.sqlite", token: "publish-token", readSecret: "read-secret", lock: "lock" } as const;

/** A data directory that this process holds. */
export interface DataDir {
  readonly path: string;
  readonly databasePath: string;
  /** Lets go of it. */
  close(): void;
}

/** The database in a data directory. */
export function databasePathIn(dataDir: string): string {
  return `${dataDir}/${FILES.database}`;
}

/** The publish token that a server makes where none is configured. */
export function tokenPathIn(dataDir: string): string {
  return `${dataDir}/${FILES.token}`;
}

/**
 * Makes the directory where it is missing and takes hold of it.
 * @throws {Error} Where that fails, or another server holds it.
 */
export function openDataDir(path: string): DataDir {
  try {
    Deno.mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw new Error(`Cannot make the data directory "${path}": ${messageOf(cause)}`, { cause });
  }
  const lock = openLock(path);
  // SQLite would make it readable for all, and gives its own files beside it the same mode.
  Deno.openSync(databasePathIn(path), { create: true, write: true, mode: 0o600 }).close();
  return { path, databasePath: databasePathIn(path), close: () => lock.close() };
}

function openLock(path: string): Deno.FsFile {
  let file: Deno.FsFile;
  try {
    file = Deno.openSync(`${path}/${FILES.lock}`, { create: true, write: true, mode: 0o600 });
  } catch (cause) {
    throw new Error(`Cannot write in the data directory "${path}": ${messageOf(cause)}`, { cause });
  }
  if (file.tryLockSync(true)) return file;
  file.close();
  throw new Error(`Cannot use the data directory "${path}" as another nix-ota-server runs on it (stop that one first)`);
}

/**
 * The path of the publish token, which is made where it is missing.
 * @returns Whether it was made now.
 */
export function ensurePublishToken(dataDir: string): { path: string; isNew: boolean } {
  const path = tokenPathIn(dataDir);
  return { path, isNew: writeNew(path, new TextEncoder().encode(`${makeToken("p")}\n`)) };
}

/** The secret behind read tokens: 32 random bytes, made once. */
export function ensureReadSecret(dataDir: string): Uint8Array {
  const path = `${dataDir}/${FILES.readSecret}`;
  writeNew(path, crypto.getRandomValues(new Uint8Array(32)));
  const secret = Deno.readFileSync(path);
  if (secret.length === 32) return secret;
  throw new Error(`Cannot use "${path}" as it has ${secret.length} bytes: wanted 32 (remove it and a new one is made)`);
}

/** Writes a file of its own (0600) as a whole or not at all; false where it exists. */
function writeNew(path: string, bytes: Uint8Array): boolean {
  const temporary = `${path}.${crypto.randomUUID()}`;
  const file = Deno.openSync(temporary, { createNew: true, write: true, mode: 0o600 });
  try {
    file.writeSync(bytes);
    file.syncSync();
  } finally {
    file.close();
  }
  try {
    Deno.linkSync(temporary, path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) return false;
    throw error;
  } finally {
    Deno.removeSync(temporary);
  }
}
