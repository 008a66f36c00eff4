import assert from "node:assert/strict";
import type { Fleet, FleetEvent } from "@nix-ota/common";
import { createEventHub, type EventHub } from "./event_hub.ts";

function fleetEvent(serverMs: number): FleetEvent {
  return { kind: "fleet", fleet: { serverMs } as Fleet }; // The hub passes events on without a look.
}

function openHub(): { hub: EventHub; tell: (serverMs: number) => void; listening: () => boolean } {
  let listener: ((event: FleetEvent) => void) | null = null;
  const hub = createEventHub({
    first: () => fleetEvent(0),
    subscribe: (added) => {
      listener = added;
      return () => void (listener = null);
    },
  }, "epoch");
  return { hub, tell: (serverMs) => listener?.(fleetEvent(serverMs)), listening: () => listener !== null };
}

/** Reads until so many messages have come; comments and the first line apart. */
async function read(stream: ReadableStream<Uint8Array>, count: number): Promise<{ id: string; serverMs: number }[]> {
  const reader = stream.getReader();
  const found: { id: string; serverMs: number }[] = [];
  while (found.length < count) {
    const { done, value } = await reader.read();
    assert.ok(!done, "the stream ended");
    const [, id, data] = /^id: (.*)\nevent: fleet\ndata: (.*)\n\n$/.exec(new TextDecoder().decode(value)) ?? [];
    if (id !== undefined && data !== undefined) found.push({ id, serverMs: JSON.parse(data).fleet.serverMs });
  }
  reader.releaseLock();
  return found;
}

function open(hub: EventHub, lastEventId: string | null = null): ReadableStream<Uint8Array> {
  const stream = hub.open(lastEventId);
  assert.ok(stream);
  return stream;
}

Deno.test("a stream begins with the fleet and goes on with the news", async () => {
  const { hub, tell } = openHub();
  const stream = open(hub);
  tell(1);
  assert.deepEqual(await read(stream, 2), [{ id: "epoch-0", serverMs: 0 }, { id: "epoch-1", serverMs: 1 }]);
  hub.stop();
});

Deno.test("a stream goes on from the last event that was seen, where it is still known", async (t) => {
  const { hub, tell } = openHub();
  const watching = open(hub);
  for (let number = 1; number <= 300; number += 1) {
    tell(number);
    await read(watching, number === 1 ? 2 : 1);
  }
  const cases: [string | null, number][] = [
    ["epoch-298", 299],
    ["epoch-44", 45],
    ["epoch-43", 0], // Forgotten.
    ["epoch-301", 0], // Not told yet.
    ["another-298", 0],
    ["", 0],
    [null, 0],
  ];
  for (const [lastEventId, first] of cases) {
    await t.step(String(lastEventId), async () => {
      const stream = open(hub, lastEventId);
      assert.equal((await read(stream, 1))[0]?.serverMs, first);
      await stream.cancel();
    });
  }
  await t.step("epoch-300", async () => {
    const stream = open(hub, "epoch-300");
    tell(301);
    assert.equal((await read(stream, 1))[0]?.serverMs, 301);
    await stream.cancel();
  });
  hub.stop();
});

Deno.test("a reader that does not read is let go, the others stay", async () => {
  const { hub, tell } = openHub();
  const slow = open(hub);
  const quick = open(hub);
  await read(quick, 1);
  for (let number = 1; number <= 400; number += 1) {
    tell(number);
    await read(quick, 1);
  }
  assert.equal(hub.size(), 1);
  let received = 0;
  for await (const _ of slow) received += 1; // It ends.
  assert.ok(received < 400);
  hub.stop();
});

Deno.test("the hub listens only while someone watches, and takes so many", async () => {
  const { hub, listening } = openHub();
  assert.ok(!listening());
  const streams = Array.from({ length: 500 }, () => open(hub));
  assert.ok(listening());
  assert.equal(hub.open(null), null);
  for (const stream of streams) await stream.cancel();
  assert.deepEqual([hub.size(), listening()], [0, false]);
});

Deno.test("stop() ends every stream", async () => {
  const { hub } = openHub();
  const stream = open(hub);
  hub.stop();
  for await (const _ of stream);
  assert.equal(hub.size(), 0);
});
