/**
 * Whether the page shows what is true now: decided here, acted on in live.ts.
 * @module
 */

/** Times are milliseconds since 1970 by the browser's clock. */
export type LiveState =
  /** The stream was never open. */
  | { readonly kind: "connecting" }
  | { readonly kind: "live" }
  /** The stream broke a moment ago: what is shown is still good. */
  | { readonly kind: "reconnecting"; readonly sinceMs: number }
  /** The stream has been gone for long enough that people must know. */
  | { readonly kind: "stale"; readonly sinceMs: number }
  /** The server speaks a newer language than this page. */
  | { readonly kind: "outdated" };

/** What happened to the stream. */
export type LiveChange = "opened" | "lost" | "waited" | "misunderstood";

/** A page that has not heard from the server for this long says so: longer than a server's restart takes. */
export const STALE_AFTER_MS = 8_000;

/** The state after a change. */
export function afterChange(state: LiveState, change: LiveChange, nowMs: number): LiveState {
  if (state.kind === "outdated" || change === "misunderstood") return { kind: "outdated" };
  if (change === "opened") return { kind: "live" };
  if (change === "lost" && state.kind !== "reconnecting" && state.kind !== "stale") {
    return { kind: "reconnecting", sinceMs: nowMs };
  }
  if (state.kind === "reconnecting" && nowMs - state.sinceMs >= STALE_AFTER_MS) return { ...state, kind: "stale" };
  return state;
}

/** Longest delay between two attempts: a server that is back shows within seconds. */
const RETRY_MAX_MS = 10_000;

/** The delay before an attempt; full jitter over the upper half, so that many open pages do not return together. */
export function retryMs(failures: number, random: () => number): number {
  const upper = Math.min(RETRY_MAX_MS, 500 * 2 ** Math.min(failures, 10));
  return Math.round(upper * (0.5 + 0.5 * random()));
}
