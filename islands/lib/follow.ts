/**
 * Keeps something true: the stream's events in small batches, and a fresh reading after every gap in the stream.
 * @module
 */
import { type FleetEvent, type Parser, SchemaError } from "@nix-ota/common";
import { misunderstood, onLive } from "./live.ts";

/** Events are told together this often, in milliseconds: below what an eye tells apart, above what a phone minds. */
const BATCH_MS = 80;
/** A reading that could not be had is tried again after this long. */
const RETRY_MS = 3_000;
/** An answer that takes longer is not waited for: events wait behind it. */
const READ_MS = 10_000;

/** What follows. */
export interface Follower<Reading> {
  /** Asks the server for everything that matters here. */
  read(): Promise<Reading>;
  onReading(reading: Reading): void;
  /** Whether an event changes more than it tells: a release changes the standing of every device of its channel. */
  needsReading(event: FleetEvent): boolean;
  /** Events since the last reading, oldest first; never empty. */
  onEvents(events: readonly FleetEvent[]): void;
}

/** Follows until the returned function is called. */
export function follow<Reading>({ read, onReading, needsReading, onEvents }: Follower<Reading>): () => void {
  let queue: FleetEvent[] = [];
  let isReading = false;
  /** Whether something happened that the reading under way may not have seen. */
  let readAgain = false;
  let batchTimer: ReturnType<typeof setTimeout> | undefined;
  let retryTimer: ReturnType<typeof setTimeout> | undefined;

  function flush(): void {
    batchTimer = undefined;
    if (isReading || queue.length === 0) return; // A reading may be older than the events: they come after it.
    const events = queue;
    queue = [];
    onEvents(events);
  }

  async function catchUp(): Promise<void> {
    clearTimeout(retryTimer);
    if (isReading) return void (readAgain = true);
    isReading = true;
    readAgain = false;
    try {
      onReading(await read());
    } catch (error) {
      if (error instanceof SchemaError) return misunderstood();
      // The stream goes on meanwhile, and the end of a lost stream leads here again.
      retryTimer = setTimeout(catchUp, RETRY_MS);
    }
    isReading = false;
    if (readAgain) return void catchUp();
    flush();
  }

  const off = onLive({
    onOpen: () => void catchUp(),
    onEvent: (event) => {
      queue.push(event);
      batchTimer ??= setTimeout(flush, BATCH_MS);
      if (needsReading(event)) void catchUp();
    },
  });
  return () => {
    off();
    clearTimeout(batchTimer);
    clearTimeout(retryTimer);
  };
}

/**
 * Reads one answer of the operator API.
 * @throws {Error} Where the server refuses, or answers something else than it should.
 */
export async function readApi<T>(path: string, parse: Parser<T>): Promise<T> {
  const response = await fetch(path, { signal: AbortSignal.timeout(READ_MS) });
  if (!response.ok) throw new Error(`Cannot read ${path}: the server answered ${response.status}`);
  return parse(await response.json(), "");
}
