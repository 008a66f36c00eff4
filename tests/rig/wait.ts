/** Bounded waiting: nothing in the rig waits for ever. */

const POLL_MS = 20;

/** Waits for `work`, but not longer than `ms`; its failure is the caller's failure. */
export async function atMost(ms: number, work: Promise<unknown>): Promise<void> {
  const { promise: timeUp, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  try {
    await Promise.race([work, timeUp]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Polls until `condition` holds.
 *
 * @param what Ends the sentence "Cannot wait any longer for ...".
 * @throws {Error} When `timeoutMs` have passed.
 */
export async function until(
  what: string,
  timeoutMs: number,
  condition: () => boolean | Promise<boolean>,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!await condition()) {
    if (performance.now() > deadline) {
      throw new Error(`Cannot wait any longer for ${what}: ${timeoutMs} ms have passed`);
    }
    await pause(POLL_MS);
  }
}

/** Sleeps. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
