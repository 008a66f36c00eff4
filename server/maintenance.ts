/** What the store needs from time to time: old events go, and devices that asked to be let in and were never heard of again. */
import { type Log, messageOf } from "@nix-ota/common";
import type { Store } from "./store/store.ts";

/** Events are kept for half a year. */
const EVENTS_KEPT_MS = 183 * 86_400_000;
/** A device that waits and falls silent is forgotten after two weeks; it can ask again. */
const PENDING_KEPT_MS = 14 * 86_400_000;
const EVERY_MS = 3_600_000;
/** Chunks in a row: the writer serves devices between them. */
const CHUNKS_MAX = 1000;

/** Runs until it is stopped; the pruning under way is waited for. */
export function startMaintenance(store: Store, log: Log): { stop(): Promise<void> } {
  let stopped = false;
  let running: Promise<void> = Promise.resolve();

  async function prune(): Promise<void> {
    for (let chunk = 0; chunk < CHUNKS_MAX && !stopped; chunk += 1) {
      const nowMs = Date.now();
      const { events, devices } = await store.submit<"prune">({
        kind: "prune",
        eventsBeforeMs: nowMs - EVENTS_KEPT_MS,
        pendingBeforeMs: nowMs - PENDING_KEPT_MS,
      });
      if (events + devices === 0) return;
      log("info", "pruned", { events, devices });
    }
  }

  const timer = setInterval(() => {
    running = prune().catch((error: unknown) => log("error", "pruning_failed", { error: messageOf(error) }));
  }, EVERY_MS);
  return {
    stop: async () => {
      stopped = true;
      clearInterval(timer);
      await running;
    },
  };
}
