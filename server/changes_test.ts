import assert from "node:assert/strict";
import type { DeviceRow, Fleet, FleetEvent, ReleaseRow } from "@nix-ota/common";
import { type Changes, createChanges } from "./changes.ts";
import type { Change } from "./store/store.ts";

function openChanges(): {
  changes: Changes;
  told: FleetEvent[];
  reads: { count: number };
  settle: () => Promise<void>;
} {
  const told: FleetEvent[] = [];
  const reads = { count: 0 };
  const read = <T>(row: unknown): T => {
    reads.count += 1;
    return row as T; // The teller passes rows on without a look.
  };
  const changes = createChanges({
    fleet: () => read<Fleet>({}),
    device: (deviceId) => deviceId === "gone" ? null : read<DeviceRow>({ deviceId }),
    release: (channel, revision) => read<ReleaseRow>({ channel, revision }),
  }, 1);
  const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 30));
  return { changes, told, reads, settle };
}

const device = (deviceId: string, heartbeat = false): Change => ({ kind: "device", deviceId, heartbeat });
const namesOf = (told: readonly FleetEvent[]): string[] =>
  told.map((event) => event.kind === "device" ? event.device.deviceId : event.kind);

Deno.test("changes are gathered and told once", async () => {
  const { changes, told, settle } = openChanges();
  const unsubscribe = changes.subscribe((event) => told.push(event));
  for (let time = 0; time < 5; time += 1) changes.mark(device("a"));
  changes.mark({ kind: "release", channel: "prod", revision: 1 });
  changes.mark({ kind: "release", channel: "prod", revision: 2 });
  changes.mark(device("gone"));
  await settle();
  assert.deepEqual(namesOf(told), ["release", "a", "fleet"]);
  unsubscribe();
  changes.mark(device("b"));
  await settle();
  assert.equal(told.length, 3);
});

Deno.test("heartbeats are told without the fleet, and given up where there is no room", async () => {
  const { changes, told, settle } = openChanges();
  changes.subscribe((event) => told.push(event));
  changes.mark(device("a", true));
  await settle();
  assert.deepEqual(namesOf(told), ["a"]);
  told.length = 0;
  for (let index = 0; index < 250; index += 1) {
    changes.mark(device(`changed-${index}`));
    changes.mark(device(`alive-${index}`, true));
  }
  await settle();
  const names = namesOf(told);
  assert.equal(names.filter((name) => name.startsWith("changed-")).length, 250);
  assert.equal(names.filter((name) => name.startsWith("alive-")).length, 0);
});

Deno.test("nothing is read while nobody listens, or after the end", async () => {
  const { changes, told, reads, settle } = openChanges();
  changes.mark(device("a"));
  await settle();
  changes.subscribe((event) => told.push(event));
  changes.mark(device("a"));
  changes.stop();
  await settle();
  assert.deepEqual([reads.count, told.length], [0, 0]);
});
