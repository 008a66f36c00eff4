/**
 * Whether the server can do its work (`/readyz`): something was written a moment ago.
 * @module
 */

/** An answer is good for this long: whoever asks often causes no more writes than whoever asks now and then. */
const FRESH_MS = 5000;
/** A write that takes longer than this is as bad as none. */
const PROBE_MS = 3000;

/** Makes the question. It throws nothing: what goes wrong is a no. */
export function createReadiness({ probe, isRunning, now, probeMs = PROBE_MS }: {
  /** Writes something small and answers once it is on the disk. */
  probe: () => Promise<unknown>;
  /** False while the server starts or stops, or after its writer died. */
  isRunning: () => boolean;
  now: () => number;
  probeMs?: number;
}): () => Promise<boolean> {
  let last: { readonly atMs: number; readonly answer: Promise<boolean> } | null = null;
  return () => {
    if (!isRunning()) return Promise.resolve(false);
    const nowMs = now();
    if (last === null || nowMs - last.atMs >= FRESH_MS || nowMs < last.atMs) {
      last = { atMs: nowMs, answer: succeedsWithin(probe, probeMs) };
    }
    return last.answer;
  };
}

async function succeedsWithin(work: () => Promise<unknown>, ms: number): Promise<boolean> {
  const late = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => late.resolve(false), ms);
  const answer = await Promise.race([work().then(() => true, () => false), late.promise]);
  clearTimeout(timer);
  return answer;
}
