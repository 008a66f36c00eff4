/**
 * Long polls (protocol 4.6): requests that are answered when their channel changes, or when their time is over.
 * @module
 */

/** How a wait ended: the channel changed, the time is over, or the server needs the place or stops. */
export type WaitEnd = "changed" | "over";

/** Requests that wait. */
export interface Waiters {
  /**
   * Waits for a change of the channel.
   * @param key Who waits; a second wait of the same one ends the first. Null where it cannot be told.
   */
  wait(what: { channel: string; key: string | null; ms: number }): Promise<WaitEnd>;
  /** Ends all waits for the channel with `changed`. */
  wake(channel: string): void;
  /** Ends all waits, and each later one at once. */
  stop(): void;
  /** Number of requests that wait. */
  size(): number;
}

interface Waiter {
  readonly channel: string;
  readonly key: string | null;
  readonly untilMs: number;
  readonly end: (how: WaitEnd) => void;
}

/** A waiting connection costs some 20 KB, so this many cost 400 MB. */
const WAITERS_MAX = 20_000;
/** One timer for all: a wait may last this much longer than asked. */
const SWEEP_MS = 1000;

/**
 * Makes an empty set of waiters. When it is full the one that waits longest makes room: an attacker that opens
 * polls and leaves them only ever shortens the polls of others.
 */
export function createWaiters(
  { now, waitersMax = WAITERS_MAX, sweepMs = SWEEP_MS }: {
    now: () => number;
    waitersMax?: number;
    sweepMs?: number;
  },
): Waiters {
  const waiting = new Set<Waiter>(); // In the order of arrival.
  const byKey = new Map<string, Waiter>();
  let timer: ReturnType<typeof setInterval> | null = null;
  let stopped = false;

  function end(waiter: Waiter, how: WaitEnd): void {
    if (!waiting.delete(waiter)) return;
    if (waiter.key !== null && byKey.get(waiter.key) === waiter) byKey.delete(waiter.key);
    waiter.end(how);
    if (waiting.size > 0 || timer === null) return;
    clearInterval(timer);
    timer = null;
  }

  function sweep(): void {
    const nowMs = now();
    for (const waiter of [...waiting]) if (waiter.untilMs <= nowMs) end(waiter, "over");
  }

  function add(waiter: Waiter): void {
    const before = waiter.key === null ? undefined : byKey.get(waiter.key);
    if (before !== undefined) end(before, "over");
    const [oldest] = waiting;
    if (waiting.size >= waitersMax && oldest !== undefined) end(oldest, "over");
    waiting.add(waiter);
    if (waiter.key !== null) byKey.set(waiter.key, waiter);
    timer ??= setInterval(sweep, sweepMs);
  }

  return {
    wait: ({ channel, key, ms }) => {
      if (stopped) return Promise.resolve("over");
      return new Promise((resolve) => add({ channel, key, untilMs: now() + ms, end: resolve }));
    },
    wake: (channel) => {
      for (const waiter of [...waiting]) if (waiter.channel === channel) end(waiter, "changed");
    },
    stop: () => {
      stopped = true;
      for (const waiter of [...waiting]) end(waiter, "over");
    },
    size: () => waiting.size,
  };
}
