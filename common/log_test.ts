import assert from "node:assert/strict";
import fc from "fast-check";
import { createLog, formatLogLine, LOG_LEVELS, LOG_VALUE_MAX } from "./log.ts";

const NOW_MS = Date.UTC(2026, 0, 31, 12, 0, 0);

Deno.test("formatLogLine() prints time, level, event and fields as one JSON object", () => {
  const line = formatLogLine({
    level: "info",
    event: "published",
    fields: { channel: "prod", revision: 7, dryRun: false, prev: null, absent: undefined },
    nowMs: NOW_MS,
  });
  assert.equal(
    line,
    '{"time":"2026-01-31T12:00:00Z","level":"info","event":"published","channel":"prod","revision":7,"dryRun":false,"prev":null}',
  );
});

Deno.test("formatLogLine() keeps its own keys when fields have the same names", () => {
  const fields = { time: "never", level: "error", event: "forged", other: "kept" };
  const line = formatLogLine({ level: "info", event: "real", fields, nowMs: NOW_MS });
  assert.deepEqual(JSON.parse(line), { time: "2026-01-31T12:00:00Z", level: "info", event: "real", other: "kept" });
});

Deno.test("formatLogLine() redacts before it cuts, so that no half of a secret remains", () => {
  const detail = `${"x".repeat(LOG_VALUE_MAX - 10)} nota_abcdefgh12345678`;
  const line = formatLogLine({ level: "warn", event: "e", fields: { detail }, nowMs: NOW_MS });
  assert.doesNotMatch(line, /nota_/);
});

Deno.test("formatLogLine() gives one line of bounded values for any text", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 5000 }), (text) => {
      const line = formatLogLine({ level: "info", event: "e", fields: { text }, nowMs: NOW_MS });
      // deno-lint-ignore no-control-regex -- No control character may be in a log line.
      assert.doesNotMatch(line, /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/);
      assert.ok((JSON.parse(line) as { text: string }).text.length <= LOG_VALUE_MAX);
    }),
    { numRuns: 500, seed: 5 },
  );
});

for (const [at, least] of LOG_LEVELS.entries()) {
  Deno.test(`createLog() from ${least} up writes ${LOG_LEVELS.length - at} of ${LOG_LEVELS.length} levels`, () => {
    const lines: string[] = [];
    const log = createLog({ write: (line) => lines.push(line), now: () => NOW_MS, least });
    for (const level of LOG_LEVELS) log(level, "event", { level: "x" });
    assert.equal(lines.length, LOG_LEVELS.length - at);
    for (const line of lines) assert.match(line, /^\{[^\n]*\}\n$/);
  });
}

Deno.test("createLog() leaves out debug lines unless asked", () => {
  const lines: string[] = [];
  const log = createLog({ write: (line) => lines.push(line), now: () => NOW_MS });
  log("debug", "hidden");
  log("info", "shown");
  assert.equal(lines.length, 1);
  assert.match(lines[0] ?? "", /"event":"shown"/);
});
