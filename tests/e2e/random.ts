/** Chance that comes again: the same seed gives the same numbers. */

/** Numbers in [0, 1). */
export type Random = () => number;

/** Mulberry32: 32 bits of state, enough to choose moments. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** One of several things. @throws {Error} If there are none. */
export function pick<T>(random: Random, things: readonly T[]): T {
  const picked = things[Math.floor(random() * things.length)];
  if (picked === undefined) throw new Error("Cannot pick from nothing");
  return picked;
}
