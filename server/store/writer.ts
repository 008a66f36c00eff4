/**
 * The writer seen from the main thread: in a worker for a server, in the same thread for tests of what is written.
 * @module
 */
import { prepareBatch } from "./batch.ts";
import { openWriter } from "./database.ts";
import type { Commit } from "./group_commit.ts";
import type { FromWriter, ToWriter } from "./writer_worker.ts";

/** Something that commits batches until it is closed. */
export interface Writer {
  readonly commit: Commit;
  /** Writes everything back into the database file and closes it. Only after the last commit has answered. */
  close(): Promise<void>;
}

/**
 * Starts the writer in a worker, so that neither a slow disk nor a long statement holds up a request.
 *
 * @param onFatal Called once if the worker dies: nothing can be written any more.
 * @throws {Error} Where the database cannot be opened.
 */
export async function startWriter(path: string, onFatal: (error: Error) => void): Promise<Writer> {
  const worker = new Worker(new URL("./writer_worker.ts", import.meta.url), { type: "module", name: "writer" });
  const ask = createAsk(worker, onFatal);
  try {
    await ask({ kind: "open", path });
  } catch (error) {
    worker.terminate();
    throw error;
  }
  return {
    commit: async (jobs) => {
      const answer = await ask({ kind: "batch", jobs });
      if (answer.kind !== "results") throw new Error(`Cannot write: the writer answered "${answer.kind}"`);
      return answer.results;
    },
    close: async () => {
      await ask({ kind: "close" });
      worker.terminate();
    },
  };
}

/** One question at a time: the queue before the writer has one batch in flight. */
function createAsk(worker: Worker, onFatal: (error: Error) => void): (message: ToWriter) => Promise<FromWriter> {
  let pending: PromiseWithResolvers<FromWriter> | null = null;
  let dead: Error | null = null;
  worker.onmessage = ({ data }: MessageEvent<FromWriter>) => {
    const asked = pending;
    pending = null;
    if (data.kind === "failed") asked?.reject(new Error(data.message));
    else asked?.resolve(data);
  };
  worker.onerror = (event) => {
    event.preventDefault(); // Else the runtime ends the process without a word to those who wait.
    dead = new Error(`The writer died: ${event.message}`);
    pending?.reject(dead);
    onFatal(dead);
  };
  return (message) => {
    if (dead !== null) return Promise.reject(dead);
    pending = Promise.withResolvers();
    worker.postMessage(message);
    return pending.promise;
  };
}

/** Opens the writer in this thread. */
export function openWriterHere(path: string): Writer {
  const db = openWriter(path);
  const run = prepareBatch(db);
  return {
    commit: (jobs) => Promise.resolve(run(jobs)),
    close: () => {
      db.close();
      return Promise.resolve();
    },
  };
}
