/**
 * When to ask again (protocol 4.6). All times in milliseconds; `random` is a source of values in [0, 1).
 * @module
 */

/** First delay after a failure (protocol 4.6). */
export const BACKOFF_BASE_MS = 5_000;
/** Longest delay after failures (protocol 4.6): a server that is back is seen within half an hour. */
export const BACKOFF_MAX_MS = 30 * 60_000;
/** Longest delay that `Retry-After` can ask for (protocol 4.6). */
export const RETRY_AFTER_MAX_MS = 24 * 3_600_000;
/** Shortest interval that a server can ask a device to poll at (protocol 4.5). */
export const POLL_MIN_MS = 5_000;
/** Longest interval that a server can ask a device to poll at (protocol 4.5). */
export const POLL_MAX_MS = 24 * 3_600_000;

/**
 * The next poll after a success: the interval, clamped to {@link POLL_MIN_MS} .. {@link POLL_MAX_MS}, times U(0.9, 1.1),
 * so that a fleet spreads out (protocol 4.6).
 */
export function nextPollMs(intervalMs: number, random: () => number): number {
  const clamped = Math.min(POLL_MAX_MS, Math.max(POLL_MIN_MS, intervalMs));
  return Math.round(clamped * (0.9 + 0.2 * random()));
}

/** The first poll after a boot: U(0, interval), so that a power cut's end is not a stampede (protocol 4.6). */
export function firstPollMs(intervalMs: number, random: () => number): number {
  return Math.round(Math.min(POLL_MAX_MS, intervalMs) * random());
}

/**
 * The delay after a failure, with decorrelated jitter (protocol 4.6): U(base, 3 x previous), capped.
 * @param previousMs The delay before; 0 after the first failure.
 * @returns Milliseconds from {@link BACKOFF_BASE_MS} to {@link BACKOFF_MAX_MS}.
 * @see Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
 */
export function backoffMs(previousMs: number, random: () => number): number {
  const upper = Math.max(BACKOFF_BASE_MS, 3 * Math.min(previousMs, BACKOFF_MAX_MS));
  return Math.round(Math.min(BACKOFF_MAX_MS, BACKOFF_BASE_MS + (upper - BACKOFF_BASE_MS) * random()));
}

const HTTP_DATE_PATTERN =
  /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d{2} (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} \d{2}:\d{2}:\d{2} GMT$/;

/**
 * The delay that a `Retry-After` header asks for: seconds, or a date in the one form that may still be sent (RFC 9110
 * sections 10.2.3 and 5.6.7). It may be 0: wait for the longer of it and {@link backoffMs}.
 *
 * @returns Milliseconds from 0 to {@link RETRY_AFTER_MAX_MS}, or null where the header says nothing of that.
 */
export function parseRetryAfter(header: string | null, nowMs: number): number | null {
  if (header === null) return null;
  if (/^\d{1,9}$/.test(header)) return Math.min(RETRY_AFTER_MAX_MS, Number(header) * 1000);
  if (!HTTP_DATE_PATTERN.test(header)) return null;
  const ms = Date.parse(header) - nowMs;
  return Number.isNaN(ms) ? null : Math.min(RETRY_AFTER_MAX_MS, Math.max(0, ms));
}
