/**
 * Trying again, a bounded number of times.
 * @module
 */

/** How often and how patiently. Times in milliseconds. */
export interface RetryPolicy {
  /** Tries in all, the first one included. */
  readonly attempts: number;
  readonly baseMs: number;
  readonly maxMs: number;
  /** Source of values in [0, 1). */
  readonly random: () => number;
}

/** Whether to try once more: the outcome, or a wish to try again after at least `afterMs`. */
export type Attempt<T> = { readonly done: T } | { readonly again: T | Error; readonly afterMs?: number };

/** Milliseconds before try number `attempt` + 1: exponential with half jitter, at least what was asked for, capped. */
export function retryDelayMs(attempt: number, askedMs: number, policy: RetryPolicy): number {
  const exponential = policy.baseMs * 2 ** (attempt - 1);
  return Math.min(policy.maxMs, Math.max(askedMs, exponential * (0.5 + policy.random() / 2)));
}

/** Runs `once` until it is done or the tries are used up; then the last outcome counts. */
export async function retrying<T>(
  policy: RetryPolicy,
  once: (attempt: number) => Promise<Attempt<T>>,
  signal?: AbortSignal,
): Promise<T> {
  for (let attempt = 1;; attempt++) {
    const outcome = await once(attempt);
    if ("done" in outcome) return outcome.done;
    if (attempt >= policy.attempts || signal?.aborted === true) {
      if (outcome.again instanceof Error) throw outcome.again;
      return outcome.again;
    }
    await sleep(retryDelayMs(attempt, outcome.afterMs ?? 0, policy), signal);
  }
}

/** Waits; an abort ends the wait early and without an error. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) return resolve();
    const end = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal?.addEventListener("abort", end);
  });
}

/** Runs `work` over all items, at most `limit` at once; results keep the order of the items. */
export async function mapLimited<T, R>(
  items: readonly T[],
  limit: number,
  work: (item: T, index: number) => Promise<R>,
): Promise<R[]> {
  const results: R[] = new Array(items.length);
  let next = 0;
  async function runner(): Promise<void> {
    while (next < items.length) {
      const index = next++;
      // `index` is below the length that was just compared.
      results[index] = await work(items[index]!, index);
    }
  }
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, runner));
  return results;
}
