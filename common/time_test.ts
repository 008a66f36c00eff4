import assert from "node:assert/strict";
import fc from "fast-check";
import { formatBytes, formatDuration, formatTimestamp, parseDuration, parseTimestamp } from "./time.ts";

const TIMES: readonly [text: string, ms: number][] = [
  ["1970-01-01T00:00:00Z", 0],
  ["2026-01-31T12:00:00Z", Date.UTC(2026, 0, 31, 12)],
  ["2024-02-29T00:00:00Z", Date.UTC(2024, 1, 29)],
  ["1969-12-31T23:59:59Z", -1000],
  ["9999-12-31T23:59:59Z", 253_402_300_799_000],
];

for (const [text, ms] of TIMES) {
  Deno.test(`parseTimestamp() and formatTimestamp() agree on ${text}`, () => {
    assert.equal(parseTimestamp(text), ms);
    assert.equal(formatTimestamp(ms), text);
  });
}

const NO_TIMES = [
  "",
  "now",
  "2026-02-30T00:00:00Z",
  "2025-02-29T00:00:00Z",
  "2026-00-01T00:00:00Z",
  "2026-13-01T00:00:00Z",
  "2026-01-00T00:00:00Z",
  "2026-01-01T24:00:00Z",
  "2026-01-01T00:60:00Z",
  "2026-12-31T23:59:60Z",
  "2026-01-01T00:00:00",
  "2026-01-01T00:00:00+00:00",
  "2026-01-01T00:00:00.0Z",
  "2026-01-01T00:00Z",
  "2026-01-01 00:00:00Z",
  "2026-01-01t00:00:00z",
  " 2026-01-01T00:00:00Z",
  "2026-01-01T00:00:00Z\n",
  "+002026-01-01T00:00:00Z",
  "-000001-01-01T00:00:00Z",
  "20260101T000000Z",
  "٢٠٢٦-01-01T00:00:00Z",
];

for (const text of NO_TIMES) {
  Deno.test(`parseTimestamp() refuses ${JSON.stringify(text)}`, () => assert.equal(parseTimestamp(text), null));
}

Deno.test("formatTimestamp() rounds down to the second and is read back", () => {
  assert.equal(formatTimestamp(1999), "1970-01-01T00:00:01Z");
  assert.equal(formatTimestamp(-1), "1969-12-31T23:59:59Z");
  fc.assert(
    fc.property(fc.integer({ min: -62_167_219_200, max: 253_402_300_799 }), (seconds) => {
      assert.equal(parseTimestamp(formatTimestamp(seconds * 1000)), seconds * 1000);
    }),
    { numRuns: 2000, seed: 16 },
  );
  assert.throws(() => formatTimestamp(NaN), RangeError);
});

const DURATIONS: readonly [text: string, seconds: number][] = [
  ["1s", 1],
  ["90s", 90],
  ["15m", 900],
  ["12h", 43_200],
  ["90d", 7_776_000],
  ["2w", 1_209_600],
  ["3650d", 315_360_000],
  ["007s", 7],
];

for (const [text, seconds] of DURATIONS) {
  Deno.test(`parseDuration() reads ${text}`, () => assert.equal(parseDuration(text), seconds));
}

const NO_DURATIONS = [
  "",
  "s",
  "90",
  "0s",
  "0d",
  "-1s",
  "1.5h",
  "1h30m",
  "1 h",
  " 1h",
  "1h ",
  "1H",
  "1y",
  "1ms",
  "3651d",
]
  .concat("522w", "999999999w", "9999999999s", "1e3s", "٣s", "1h\n", "x".repeat(100_000));

for (const text of NO_DURATIONS) {
  Deno.test(`parseDuration() refuses ${JSON.stringify(text).slice(0, 20)}`, () => {
    assert.throws(
      () => parseDuration(text),
      (error) => error instanceof TypeError && /wanted such as 90s/.test(error.message) && error.message.length < 250,
    );
  });
}

const SHOWN_DURATIONS: readonly [seconds: number, text: string][] = [
  [0, "0 s"],
  [-5, "0 s"],
  [0.4, "0 s"],
  [0.5, "1 s"],
  [59, "59 s"],
  [60, "1 min"],
  [245, "4 min 5 s"],
  [3600, "1 h"],
  [3661, "1 h 1 min"],
  [86_399, "23 h 59 min"],
  [183_600, "2 d 3 h"],
  [86_400 * 400, "400 d"],
];

for (const [seconds, text] of SHOWN_DURATIONS) {
  Deno.test(`formatDuration() of ${seconds} s is ${text}`, () => assert.equal(formatDuration(seconds), text));
}

const SHOWN_BYTES: readonly [bytes: number, text: string][] = [
  [0, "0 B"],
  [1023, "1023 B"],
  [1024, "1.0 KiB"],
  [1536, "1.5 KiB"],
  [102_400, "100 KiB"],
  [1_047_552, "1023 KiB"],
  [1_048_575, "1.0 MiB"],
  [29_255_270, "27.9 MiB"],
  [2 ** 30, "1.0 GiB"],
  [2 ** 40, "1.0 TiB"],
  [2 ** 53 - 1, "8192 TiB"],
];

for (const [bytes, text] of SHOWN_BYTES) {
  Deno.test(`formatBytes() of ${bytes} is ${text}`, () => assert.equal(formatBytes(bytes), text));
}
