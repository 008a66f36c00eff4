/**
 * How often one address may ask for something that costs: a bucket of tokens for each.
 * @module
 */

/** Addresses remembered; the one that was quiet longest is forgotten first. */
const ADDRESSES_MAX = 10_000;

/** Takes one token of the address; null, or how many seconds to wait for the next. */
export type RateLimit = (address: string, nowMs: number) => number | null;

/** Makes a limit of `burst` at once and `perMinute` on and on. */
export function createRateLimit({ burst, perMinute }: { burst: number; perMinute: number }): RateLimit {
  const buckets = new Map<string, { tokens: number; atMs: number }>(); // The quietest first.
  return (address, nowMs) => {
    const key = networkOf(address);
    const before = buckets.get(key) ?? { tokens: burst, atMs: nowMs };
    const refilled = before.tokens + Math.max(0, nowMs - before.atMs) * perMinute / 60_000;
    const tokens = Math.min(burst, refilled);
    buckets.delete(key);
    buckets.set(key, { tokens: tokens >= 1 ? tokens - 1 : tokens, atMs: nowMs });
    const [quietest] = buckets.keys();
    if (buckets.size > ADDRESSES_MAX && quietest !== undefined) buckets.delete(quietest);
    return tokens >= 1 ? null : Math.max(1, Math.ceil((1 - tokens) * 60 / perMinute));
  };
}

/** One household of IPv6 has a whole /64: its addresses count as one. */
function networkOf(address: string): string {
  return address.includes(":") && !address.includes(".") ? address.split(":").slice(0, 4).join(":") : address;
}
