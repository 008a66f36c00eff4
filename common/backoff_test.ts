import assert from "node:assert/strict";
import fc from "fast-check";
import {
  BACKOFF_BASE_MS,
  BACKOFF_MAX_MS,
  backoffMs,
  firstPollMs,
  nextPollMs,
  parseRetryAfter,
  POLL_MAX_MS,
  POLL_MIN_MS,
  RETRY_AFTER_MAX_MS,
} from "./backoff.ts";
import { seededRandom } from "./testing/random.ts";

/** A source of one value, for the ends of the range. */
function always(value: number): () => number {
  return () => value;
}
const ALMOST_ONE = 1 - 2 ** -53;

const POLLS: readonly [intervalMs: number, random: number, expectedMs: number][] = [
  [60_000, 0.5, 60_000],
  [60_000, 0, 54_000],
  [60_000, ALMOST_ONE, 66_000],
  [0, 0.5, POLL_MIN_MS],
  [-1, 0.5, POLL_MIN_MS],
  [1e15, 0.5, POLL_MAX_MS],
  [Infinity, 0.5, POLL_MAX_MS],
];

for (const [intervalMs, random, expectedMs] of POLLS) {
  Deno.test(`nextPollMs() of ${intervalMs} ms with chance ${random.toFixed(1)} is ${expectedMs} ms`, () => {
    assert.equal(nextPollMs(intervalMs, always(random)), expectedMs);
  });
}

Deno.test("nextPollMs() stays within a tenth of the clamped interval", () => {
  fc.assert(
    fc.property(fc.integer(), fc.double({ min: 0, max: ALMOST_ONE, noNaN: true }), (intervalMs, random) => {
      const ms = nextPollMs(intervalMs, always(random));
      assert.ok(Number.isSafeInteger(ms) && ms >= 0.9 * POLL_MIN_MS && ms <= 1.1 * POLL_MAX_MS);
    }),
    { seed: 13 },
  );
});

Deno.test("firstPollMs() spreads a fleet over the whole interval", () => {
  assert.equal(firstPollMs(60_000, always(0)), 0);
  assert.equal(firstPollMs(60_000, always(0.5)), 30_000);
  assert.equal(firstPollMs(60_000, always(ALMOST_ONE)), 60_000);
  assert.equal(firstPollMs(1e15, always(ALMOST_ONE)), POLL_MAX_MS);
});

Deno.test("backoffMs() is the base after the first failure and then up to three times the last delay", () => {
  assert.equal(backoffMs(0, always(ALMOST_ONE)), BACKOFF_BASE_MS);
  assert.equal(backoffMs(5_000, always(0)), BACKOFF_BASE_MS);
  assert.equal(backoffMs(5_000, always(0.5)), 10_000);
  assert.equal(backoffMs(5_000, always(ALMOST_ONE)), 15_000);
  assert.equal(backoffMs(BACKOFF_MAX_MS, always(ALMOST_ONE)), BACKOFF_MAX_MS);
});

Deno.test("backoffMs() stays within its bounds for any delay before, and reaches the cap", () => {
  fc.assert(
    fc.property(
      fc.double({ noNaN: true }),
      fc.double({ min: 0, max: ALMOST_ONE, noNaN: true }),
      (previousMs, random) => {
        const ms = backoffMs(previousMs, always(random));
        assert.ok(ms >= BACKOFF_BASE_MS && ms <= BACKOFF_MAX_MS, `${ms}`);
      },
    ),
    { numRuns: 2000, seed: 14 },
  );
  const random = seededRandom(15);
  let longest = 0;
  for (let failures = 0, ms = 0; failures < 200; failures += 1) {
    ms = backoffMs(ms, random);
    longest = Math.max(longest, ms);
  }
  assert.equal(longest, BACKOFF_MAX_MS);
});

const NOW_MS = Date.UTC(2026, 0, 31, 12, 0, 0);
const HEADERS: readonly [header: string | null, expectedMs: number | null][] = [
  [null, null],
  ["", null],
  ["0", 0],
  ["120", 120_000],
  ["007", 7_000],
  ["86400", RETRY_AFTER_MAX_MS],
  ["86401", RETRY_AFTER_MAX_MS],
  ["999999999", RETRY_AFTER_MAX_MS],
  ["9999999999", null],
  ["-5", null],
  ["+5", null],
  ["1.5", null],
  ["1e3", null],
  ["0x10", null],
  [" 5", null],
  ["5 ", null],
  ["5, 6", null],
  ["soon", null],
  ["Sat, 31 Jan 2026 12:02:00 GMT", 120_000],
  ["Sat, 31 Jan 2026 12:00:00 GMT", 0],
  ["Fri, 30 Jan 2026 12:00:00 GMT", 0],
  ["Tue, 31 Jan 2068 12:00:00 GMT", RETRY_AFTER_MAX_MS],
  ["Sat, 31 Jan 2026 12:02:00 CET", null],
  ["Sat, 31 Jan 2026 12:02:00", null],
  ["Saturday, 31-Jan-26 12:02:00 GMT", null], // Obsolete, not to be sent.
  ["Sat Jan 31 12:02:00 2026", null], // Obsolete, not to be sent.
  ["2026-01-31T12:02:00Z", null],
  ["Sat, 99 Jan 2026 12:02:00 GMT", null],
  ["Foo 12", null], // V8's own parser reads a date into this, and into 1.5 and -5 above.
  ["9".repeat(100_000), null],
];

for (const [header, expectedMs] of HEADERS) {
  Deno.test(`parseRetryAfter() of ${JSON.stringify(header)?.slice(0, 40)} is ${expectedMs}`, () => {
    assert.equal(parseRetryAfter(header, NOW_MS), expectedMs);
  });
}
