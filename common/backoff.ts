/**
 * When to ask again (protocol 4.6). All times in milliseconds; `random` is a source of values in [0, 1).
 * @module
 */

/** First delay after a failure. */
export const BACKOFF_BASE_MS = 5_000;
/** Longest delay after failures: a server that is back is seen within half an hour. */
export const BACKOFF_MAX_MS = 30 * 60_000;
/** Longest delay that `Retry-After` can ask for. */
export const RETRY_AFTER_MAX_MS = 24 * 3_600_000;
/** Shortest and longest interval that a server can ask a device to poll at. */
export const POLL_MIN_MS = 5_000;
/** See {@link POLL_MIN_MS}. */
export const POLL_MAX_MS = 24 * 3_600_000;

/** The next poll after a success: the interval, clamped, times U(0.9, 1.1), so that a fleet spreads out. */
export function nextPollMs(intervalMs: number, random: () => number): number {
  const clamped = Math.min(POLL_MAX_MS, Math.max(POLL_MIN_MS, intervalMs));
  return Math.round(clamped * (0.9 + 0.2 * random()));
}

/** The first poll after a boot: U(0, interval), so that a power cut's end is not a stampede. */
export function firstPollMs(intervalMs: number, random: () => number): number {
  return Math.round(Math.min(POLL_MAX_MS, intervalMs) * random());
}

/**
 * The delay after a failure, with decorrelated jitter: U(base, 3 x previous), capped.
 * @param previousMs The delay before; 0 after the first failure.
 * @see Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
 */
export function backoffMs(previousMs: number, random: () => number): number {
  const upper = Math.max(BACKOFF_BASE_MS, 3 * previousMs);
  return Math.round(Math.min(BACKOFF_MAX_MS, BACKOFF_BASE_MS + (upper - BACKOFF_BASE_MS) * random()));
}

/** The delay that a `Retry-After` header asks for (RFC 9110 section 10.2.3), at most a day; null where it says nothing. */
export function parseRetryAfter(header: string | null, nowMs: number): number | null {
  if (header === null || header.length > 64) return null;
  const ms = /^\d{1,9}$/.test(header) ? Number(header) * 1000 : Date.parse(header) - nowMs;
  return Number.isNaN(ms) ? null : Math.min(RETRY_AFTER_MAX_MS, Math.max(0, ms));
}
