import { fakeDevice } from "@/server/web/testing/fake_device.ts";
import { FakeFleet, fakeRelease } from "@/server/web/testing/fake_fleet.ts";
import type { DeviceRow } from "@nix-ota/common";
import assert from "node:assert/strict";
import { NO_FILTER } from "./filter.ts";
import { applyEvent, applySnapshot, PENDING_MAX, RELEASES_MAX, ROWS_MAX, type View } from "./view.ts";

function view(names: readonly string[], changes: Partial<View> = {}): View {
  return {
    fleet: new FakeFleet({ now: () => 0 }).fleet(),
    filter: NO_FILTER,
    devices: names.map((name) => fakeDevice(name)),
    next: null,
    pending: [],
    releases: [],
    happenings: [],
    ...changes,
  };
}

const names = (devices: readonly DeviceRow[]): string[] => devices.map(({ deviceId }) => deviceId);
const told = (before: View, device: DeviceRow): View => applyEvent(before, { kind: "device", device });

Deno.test("applyEvent() changes a listed device in its place and puts a new one where its name belongs", () => {
  const changed = told(view(["a", "c"]), fakeDevice("c", { standing: "current" }));
  assert.equal(changed.devices[1]?.standing, "current");
  assert.deepEqual(names(told(changed, fakeDevice("b")).devices), ["a", "b", "c"]);
});

Deno.test("applyEvent() keeps a filtered list to what it filters", () => {
  const failed = view([], { filter: { channel: null, standing: "failed", after: null } });
  assert.deepEqual(names(told(failed, fakeDevice("a")).devices), []);
  const one = told(failed, fakeDevice("a", { standing: "failed" }));
  assert.deepEqual(names(one.devices), ["a"]);
  assert.deepEqual(names(told(one, fakeDevice("a", { standing: "current" })).devices), []);
  const beta = view([], { filter: { channel: "beta", standing: null, after: null } });
  assert.deepEqual(names(told(beta, fakeDevice("a")).devices), []);
});

Deno.test("applyEvent() adds nothing that belongs to another page of the list", () => {
  const first = view(["a", "c"], { next: "c" });
  assert.deepEqual(names(told(first, fakeDevice("b")).devices), ["a", "b", "c"]);
  assert.deepEqual(names(told(first, fakeDevice("d")).devices), ["a", "c"]);
  const second = view(["d"], { filter: { ...NO_FILTER, after: "c" } });
  assert.deepEqual(names(told(second, fakeDevice("b")).devices), ["d"]);
});

Deno.test("applyEvent() cuts a list that grew past a page and offers the rest", () => {
  const full = view(Array.from({ length: ROWS_MAX }, (_, at) => `d-${String(at).padStart(3, "0")}`));
  const grown = told(full, fakeDevice("a"));
  assert.equal(grown.devices.length, ROWS_MAX);
  assert.equal(grown.next, "d-098");
});

Deno.test("applyEvent() shows who asks to join until they are let in, and not more than fit", () => {
  const pending = fakeDevice("new", { status: "pending", standing: "pending", state: null });
  const asked = told(view([]), pending);
  assert.deepEqual(names(asked.pending), ["new"]);
  assert.equal(asked.happenings[0]?.text, "asks to join");
  assert.deepEqual(names(told(asked, fakeDevice("new")).pending), []);
  const flood = Array.from(
    { length: 50 },
    (_, at) => fakeDevice(`n-${at}`, { status: "pending", standing: "pending" }),
  );
  assert.equal(flood.reduce(told, view([])).pending.length, PENDING_MAX);
});

Deno.test("applyEvent() takes releases newest first, each once", () => {
  const releases = Array.from({ length: 20 }, (_, at) => fakeRelease("prod", at + 1, { publishedMs: at }));
  const after = [...releases, ...releases].reduce(
    (v: View, release) => applyEvent(v, { kind: "release", release }),
    view([]),
  );
  assert.equal(after.releases.length, RELEASES_MAX);
  assert.deepEqual(after.releases.slice(0, 2).map(({ revision }) => revision), [20, 19]);
  assert.equal(after.happenings.filter(({ text }) => text === "got release 20").length, 1);
});

Deno.test("applyEvent() replaces the counts", () => {
  const fleet = { ...view([]).fleet, fleet: "other" };
  assert.equal(applyEvent(view([]), { kind: "fleet", fleet }).fleet, fleet);
});

Deno.test("applySnapshot() tells what was missed", () => {
  const before = view(["a", "b"]);
  const state = before.devices[0]?.state ?? assert.fail();
  const devices = [fakeDevice("a", { state: { ...state, phase: "activating" } }), fakeDevice("b")];
  const after = applySnapshot(before, { ...before, devices });
  assert.deepEqual(after.happenings.map(({ subject, text }) => `${subject} ${text}`), ["a is activating"]);
});
