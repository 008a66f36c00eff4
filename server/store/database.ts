/**
 * Opening the database file: one connection that writes, others that read.
 * @module
 */
import { DatabaseSync } from "node:sqlite";
import { MIGRATIONS } from "./migrations/mod.ts";

/** A connection to the database. */
export type Database = DatabaseSync;

/**
 * FULL makes a committed transaction survive a power cut, WAL lets readers go on meanwhile. A checkpoint every 4,000
 * pages (16 MB) halves what is written to disk against the default of 1,000; the journal shrinks to 64 MB after a peak.
 */
const WRITER_PRAGMAS = `
PRAGMA busy_timeout = 5000;
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA foreign_keys = ON;
PRAGMA trusted_schema = OFF;
PRAGMA cache_size = -65536;
PRAGMA wal_autocheckpoint = 4000;
PRAGMA journal_size_limit = 67108864;
`;

const READER_PRAGMAS = `
PRAGMA busy_timeout = 5000;
PRAGMA query_only = ON;
PRAGMA trusted_schema = OFF;
PRAGMA cache_size = -16384;
`;

/** The number of migrations that a database has run. */
export function schemaVersion(db: Database): number {
  return Number(db.prepare("PRAGMA user_version").get()?.["user_version"] ?? 0);
}

/**
 * Opens the only connection that writes, makes the file where there is none, and brings its schema up to date.
 * @throws {Error} Where a newer program has written the file, or it is damaged.
 */
export function openWriter(path: string, migrations: readonly string[] = MIGRATIONS): Database {
  const db = new DatabaseSync(path);
  try {
    db.exec(WRITER_PRAGMAS);
    migrate(db, { path, migrations });
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/** Opens a connection that cannot write. */
export function openReadOnly(path: string): Database {
  const db = new DatabaseSync(path, { readOnly: true });
  db.exec(READER_PRAGMAS);
  return db;
}

function migrate(db: Database, { path, migrations }: { path: string; migrations: readonly string[] }): void {
  const found = schemaVersion(db);
  if (found > migrations.length) {
    throw new Error(
      `Cannot open the database "${path}" as its schema is version ${found}: this program knows up to ` +
        `${migrations.length} (run the newer nix-ota-server, or restore a backup from before the upgrade)`,
    );
  }
  migrations.slice(found).forEach((script, index) => {
    inTransaction(db, () => {
      db.exec(script);
      setSchemaVersion(db, found + index + 1);
    });
  });
}

/** A pragma takes no parameters, so the number, which is ours, is printed into it. */
function setSchemaVersion(db: Database, version: number): void {
  db.exec(`PRAGMA user_version = ${Math.trunc(version)}`);
}

/** Runs reads that all see the same state of the database, whatever is committed meanwhile. It is faster as well. */
export function inSnapshot<T>(db: Database, work: () => T): T {
  db.exec("BEGIN");
  try {
    return work();
  } finally {
    db.exec("COMMIT");
  }
}

/** Runs `work` in one transaction: all of it is kept, or nothing where it throws. */
export function inTransaction<T>(db: Database, work: () => T): T {
  db.exec("BEGIN IMMEDIATE");
  try {
    const result = work();
    db.exec("COMMIT");
    return result;
  } catch (error) {
    // A failed COMMIT may or may not have ended the transaction.
    if (db.isTransaction) db.exec("ROLLBACK");
    throw error;
  }
}
