import { PHASES, REASONS, RESULTS, STANDINGS } from "@nix-ota/common";
import assert from "node:assert/strict";
import {
  ago,
  bytesWords,
  count,
  exactTime,
  isoTime,
  PHASE_LABELS,
  reasonSentence,
  RESULT_LABELS,
  shortFingerprint,
  spokenProgress,
  STANDING_LABELS,
} from "./words.ts";

Deno.test("every standing, phase and result has a label of its own", () => {
  const lists: [codes: readonly string[], labels: Readonly<Record<string, string>>][] = [
    [STANDINGS, STANDING_LABELS],
    [PHASES, PHASE_LABELS],
    [RESULTS, RESULT_LABELS],
  ];
  for (const [codes, labels] of lists) {
    assert.deepEqual(Object.keys(labels).sort(), [...codes].sort());
    assert.equal(new Set(Object.values(labels)).size, codes.length);
  }
});

Deno.test("reasonSentence() says in words what a code means", async (t) => {
  const cases: [reason: string, sentence: string][] = [
    ["path_missing", REASONS.path_missing],
    ["health_failed:exit 3", `${REASONS.health_failed} (exit 3)`],
    ["no_target", "The release has no target for this system and variant"],
    ["made_up_later", "made_up_later"],
    ["toString", "toString"],
    ["constructor:x", "constructor (x)"],
    ["switch_failed:a:b", `${REASONS.switch_failed} (a:b)`],
  ];
  for (const [reason, sentence] of cases) await t.step(reason, () => assert.equal(reasonSentence(reason), sentence));
});

Deno.test("ago() uses the largest unit, and calls what lies ahead now", () => {
  const nowMs = 1_000_000_000_000;
  const cases: [secondsAgo: number, words: string][] = [
    [-3600, "just now"],
    [4, "just now"],
    [5, "5 s ago"],
    [59, "59 s ago"],
    [60, "1 min ago"],
    [3599, "59 min ago"],
    [3600, "1 h ago"],
    [86_399, "23 h ago"],
    [200_000, "2 d ago"],
  ];
  for (const [seconds, words] of cases) assert.equal(ago({ atMs: nowMs - seconds * 1000, nowMs }), words);
});

Deno.test("exactTime() and isoTime() stand any number that a device may send", () => {
  assert.equal(exactTime(1_763_800_000_999), "2025-11-22 08:26:40 UTC");
  assert.equal(isoTime(Number.MAX_SAFE_INTEGER), "1970-01-01T00:00:00.000Z");
});

Deno.test("shortFingerprint() keeps enough to tell keys apart", () => {
  assert.equal(shortFingerprint(`SHA256:${"a".repeat(43)}`), "SHA256:aaaaaaaaaa…");
  assert.equal(shortFingerprint("short"), "short");
});

Deno.test("spokenProgress() says what the bar shows", () => {
  const counts = { current: 5, waiting: 0, updating: 2, failed: 1, no_target: 0, pending: 3, rejected: 1 };
  assert.equal(spokenProgress(counts), "5 of 8 devices up to date, 2 updating, 1 failed");
  assert.equal(count(1, "device"), "1 device");
  assert.equal(count(12_345, "device"), "12,345 devices");
});

Deno.test("bytesWords() names the unit once where both share it", () => {
  const words = (bytes: number, ofBytes: number): string => bytesWords({ paths: 0, ofPaths: 0, bytes, ofBytes });
  assert.equal(words(12 * 2 ** 20, 40 * 2 ** 20), "12.0 of 40.0 MiB");
  assert.equal(words(900 * 2 ** 20, 2 * 2 ** 30), "900 MiB of 2.0 GiB");
  assert.equal(words(0, 0), "0 of 0 B");
});
