/**
 * The thread that owns the only write connection. It says "ready" or what failed, then answers each batch in turn.
 * @module
 */
import { messageOf } from "@nix-ota/common";
import { prepareBatch, type Result, type RunBatch } from "./batch.ts";
import { type Database, openWriter } from "./database.ts";
import type { Job } from "./jobs.ts";

/** What the writer is told. */
export type ToWriter =
  | { readonly kind: "open"; readonly path: string }
  | { readonly kind: "batch"; readonly jobs: readonly Job[] }
  | { readonly kind: "close" };

/** What the writer says. */
export type FromWriter =
  | { readonly kind: "ready" }
  | { readonly kind: "failed"; readonly message: string }
  | { readonly kind: "results"; readonly results: readonly Result[] }
  | { readonly kind: "closed" };

/** The part of a worker's global scope that is used; its full type clashes with that of a page. */
interface Scope {
  onmessage: ((event: MessageEvent<ToWriter>) => void) | null;
  postMessage(message: FromWriter): void;
}

const scope = globalThis as unknown as Scope;
let db: Database | null = null;
let run: RunBatch | null = null;

function answer(message: ToWriter): FromWriter {
  switch (message.kind) {
    case "open":
      db = openWriter(message.path);
      run = prepareBatch(db);
      return { kind: "ready" };
    case "batch":
      if (run === null) throw new Error("Cannot write before the database is open");
      return { kind: "results", results: run(message.jobs) };
    case "close":
      db?.exec("PRAGMA wal_checkpoint(TRUNCATE)");
      db?.close();
      return { kind: "closed" };
  }
}

scope.onmessage = ({ data }) => {
  try {
    scope.postMessage(answer(data));
  } catch (error) {
    scope.postMessage({ kind: "failed", message: messageOf(error) });
  }
};
