import { fakeDevice, idleState } from "@/server/web/testing/fake_device.ts";
import { fakeRelease } from "@/server/web/testing/fake_fleet.ts";
import type { DeviceRow, DeviceState } from "@nix-ota/common";
import assert from "node:assert/strict";
import { deviceHappening, deviceNews, firstHappenings, HAPPENINGS_MAX } from "./happenings.ts";

const AT_MS = 1_763_800_000_000;
const TARGET = { revision: 42, digest: `sha256:${"0".repeat(64)}`, storePath: "/nix/store/x" };

function device(state: Partial<DeviceState>, changes: Partial<DeviceRow> = {}): DeviceRow {
  return fakeDevice("kiosk-1", { state: { ...idleState(AT_MS), ...state }, seenMs: AT_MS + 5_000, ...changes });
}

Deno.test("deviceHappening() says what a device did last", async (t) => {
  const cases: [row: DeviceRow, text: string, tone: string][] = [
    [device({}, { status: "pending" }), "asks to join", "warn"],
    [device({}, { status: "rejected" }), "was rejected", "plain"],
    [fakeDevice("a", { state: null }), "joined", "plain"],
    [device({ phase: "staging", target: TARGET }), "is downloading release 42", "busy"],
    [device({ phase: "probation", target: TARGET }), "checks its health with release 42", "busy"],
    [device({ phase: "rebooting" }), "restarts into the new system", "busy"],
    [device({ phase: "rolling_back", target: TARGET }), "is rolling back", "busy"],
    [device({ result: "succeeded" }, { runningRevision: 42 }), "runs release 42", "good"],
    [
      device({ result: "rolled_back", target: TARGET, reason: "health_timeout" }),
      "rolled back release 42: The health check did not pass in time: the device went back",
      "bad",
    ],
    [device({ result: "succeeded" }), "runs a system that no release knows", "good"],
    [
      device({ result: "refused", target: TARGET, reason: "revision_too_old" }),
      "refused release 42: The revision is older than one already known",
      "bad",
    ],
    [device({ result: "pending_reboot", target: TARGET }), "will run release 42 from its next restart on", "warn"],
    [device({}, { runningRevision: 41 }), "is idle on release 41", "plain"],
    [device({}, { standing: "no_target" }), "finds no build for its kind", "warn"],
  ];
  for (const [row, text, tone] of cases) {
    await t.step(text, () => {
      const happening = deviceHappening(row);
      assert.equal(happening.text, text);
      assert.equal(happening.tone, tone);
    });
  }
});

Deno.test("deviceHappening() never lies ahead of the device's report, whatever its clock says", () => {
  assert.equal(deviceHappening(device({ since: "2099-01-01T00:00:00Z" })).atMs, AT_MS + 5_000);
  assert.equal(deviceHappening(device({})).atMs, AT_MS);
});

Deno.test("deviceNews() is silent about one more megabyte and tells of a new phase, at the server's time", () => {
  const progress = (bytes: number) => ({ paths: 1, ofPaths: 2, bytes, ofBytes: 100 });
  const before = device({ phase: "staging", target: TARGET, progress: progress(1) });
  assert.equal(deviceNews(before, device({ phase: "staging", target: TARGET, progress: progress(2) })), null);
  const news = deviceNews(before, device({ phase: "activating", target: TARGET }));
  assert.equal(news?.text, "is activating release 42");
  assert.equal(news?.atMs, AT_MS + 5_000);
});

Deno.test("firstHappenings() is the newest of devices and releases, newest first, and no more than fit", () => {
  const devices = Array.from({ length: 30 }, (_, at) => fakeDevice(`d-${at}`, { state: null, enrolledMs: AT_MS + at }));
  const list = firstHappenings(devices, [fakeRelease("prod", 7, { publishedMs: AT_MS + 1_000, notes: "Hello" })]);
  assert.equal(list.length, HAPPENINGS_MAX);
  assert.deepEqual([list[0]?.subject, list[0]?.text], ["prod", "got release 7: Hello"]);
  assert.equal(list[1]?.subject, "d-29");
});
