import assert from "node:assert/strict";
import type { DeviceRow, ReleaseProgress } from "@nix-ota/common";
import { pollMs } from "./follow.ts";
import { describeNews, judgeRollout } from "./rollout.ts";
import { DIGEST, makeDevice, makeProgress } from "./testing/devices.ts";

const PUBLISHED_MS = 1_000_000;
const BEFORE = PUBLISHED_MS - 5000;
const AFTER = PUBLISHED_MS + 5000;

const updating = (deviceId: string): DeviceRow => makeDevice({ deviceId, standing: "updating", seenMs: AFTER });
const failed = (deviceId: string): DeviceRow => makeDevice({ deviceId, standing: "failed", seenMs: AFTER });
const waiting = (deviceId: string, seenMs: number | null): DeviceRow =>
  makeDevice({ deviceId, standing: "waiting", seenMs });
const rebooting = (deviceId: string): DeviceRow =>
  makeDevice({ deviceId, standing: "waiting", seenMs: AFTER, state: { result: "pending_reboot" } });

Deno.test("judgeRollout() decides when following is over, and how", async (t) => {
  const rows: {
    name: string;
    progress: ReleaseProgress;
    elapsedSeconds?: number;
    timedOut?: boolean;
    failOn?: "any" | "all";
    end: string | null;
  }[] = [
    { name: "nobody is on the channel", progress: makeProgress(0, []), end: "no_devices" },
    { name: "all run it", progress: makeProgress(3, []), end: "succeeded" },
    { name: "one is busy", progress: makeProgress(2, [updating("a")]), end: null },
    {
      name: "one is busy and time is up",
      progress: makeProgress(2, [updating("a")]),
      timedOut: true,
      end: "timed_out",
    },
    {
      name: "one failed while others are busy",
      progress: makeProgress(0, [failed("a"), updating("b")]),
      end: "failed",
    },
    {
      name: "one failed while others are busy, and that is no reason to stop",
      progress: makeProgress(0, [failed("a"), updating("b")]),
      failOn: "all",
      end: null,
    },
    { name: "one failed, one runs it", progress: makeProgress(1, [failed("a")]), failOn: "all", end: "succeeded" },
    { name: "all failed", progress: makeProgress(0, [failed("a")]), failOn: "all", end: "failed" },
    { name: "one waits and answers", progress: makeProgress(1, [waiting("a", AFTER)]), elapsedSeconds: 999, end: null },
    {
      name: "one is silent for a moment",
      progress: makeProgress(1, [waiting("a", BEFORE)]),
      elapsedSeconds: 5,
      end: null,
    },
    {
      name: "one is silent for long",
      progress: makeProgress(1, [waiting("a", BEFORE)]),
      elapsedSeconds: 121,
      end: "succeeded",
    },
    {
      name: "one was never seen",
      progress: makeProgress(1, [waiting("a", null)]),
      elapsedSeconds: 121,
      end: "succeeded",
    },
    { name: "all are silent", progress: makeProgress(0, [waiting("a", BEFORE)]), elapsedSeconds: 121, end: "silent" },
    {
      name: "one is silent and time is up before patience",
      progress: makeProgress(1, [waiting("a", BEFORE)]),
      elapsedSeconds: 5,
      timedOut: true,
      end: "succeeded",
    },
    { name: "one has it and waits for its reboot", progress: makeProgress(0, [rebooting("a")]), end: "succeeded" },
    {
      name: "a newer release took over",
      progress: { ...makeProgress(0, [waiting("a", AFTER)]), isHead: false },
      end: "superseded",
    },
    {
      name: "one failed before a newer release took over",
      progress: { ...makeProgress(0, [failed("a")]), isHead: false },
      end: "failed",
    },
    {
      name: "pending devices and those without a target do not count",
      progress: makeProgress(1, [
        makeDevice({ deviceId: "p", standing: "pending", seenMs: null }),
        makeDevice({ deviceId: "n", standing: "no_target", seenMs: AFTER }),
      ]),
      end: "succeeded",
    },
    {
      name: "more wait than the server lists",
      progress: { ...makeProgress(1, []), counts: { ...makeProgress(1, []).counts, waiting: 300 } },
      elapsedSeconds: 999,
      end: null,
    },
  ];
  for (const { name, progress, elapsedSeconds = 10, timedOut = false, failOn = "any", end } of rows) {
    await t.step(name, () => {
      const rule = { offlineSeconds: 120, failOn };
      assert.equal(judgeRollout(progress, { publishedMs: PUBLISHED_MS, elapsedSeconds, timedOut, rule }).end, end);
    });
  }
});

Deno.test("judgeRollout() takes a reboot that waits for another release for what it is", () => {
  const other = { revision: 1, digest: `sha256:${"1".repeat(64)}`, storePath: `/nix/store/${"0".repeat(32)}-x` };
  const device = makeDevice({
    deviceId: "a",
    standing: "waiting",
    seenMs: AFTER,
    state: { result: "pending_reboot", target: other },
  });
  const rule = { offlineSeconds: 120, failOn: "any" } as const;
  const at = { publishedMs: PUBLISHED_MS, elapsedSeconds: 10, timedOut: false, rule };
  assert.notEqual(other.digest, DIGEST);
  assert.equal(judgeRollout(makeProgress(0, [device]), at).end, null);
});

Deno.test("describeNews() tells of each change once", () => {
  const staging = (bytes: number): DeviceRow =>
    makeDevice({
      deviceId: "a",
      standing: "updating",
      seenMs: AFTER,
      state: { phase: "staging", progress: { paths: 1, ofPaths: 2, bytes, ofBytes: 2048 } },
    });
  const first = makeProgress(0, [staging(512), waiting("b", BEFORE)]);
  assert.deepEqual(describeNews(null, first), ["a: downloading 25% of 2.0 KiB"]);
  const second = makeProgress(0, [staging(1024), waiting("b", BEFORE)]);
  assert.deepEqual(describeNews(first, second), []);
  const rolledBack = makeDevice({
    deviceId: "b",
    standing: "failed",
    seenMs: AFTER,
    state: { result: "rolled_back", reason: "health_failed:exit 3" },
  });
  const third = makeProgress(1, [rolledBack]);
  assert.deepEqual(describeNews(second, third), [
    "b: rolled back: the health check failed: the device went back (health_failed:exit 3)",
    "a: runs it",
  ]);
  assert.deepEqual(describeNews(third, third), []);
});

Deno.test("describeNews() does not take a device for current because the list is too short for it", () => {
  const before = makeProgress(0, [updating("a"), updating("b")]);
  const after = { ...makeProgress(0, [updating("a")]), counts: { ...before.counts } };
  assert.deepEqual(describeNews(before, after), []);
});

Deno.test("pollMs() looks often at first and seldom later", () => {
  assert.deepEqual([0, 10, 60, 100, 900].map(pollMs), [500, 500, 600, 1000, 5000]);
});
