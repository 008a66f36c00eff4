import assert from "node:assert/strict";
import { createReadiness } from "./readiness.ts";

function openReadiness(): {
  isReady: () => Promise<boolean>;
  world: { nowMs: number; running: boolean; probe: () => Promise<unknown>; probes: number };
} {
  const world = { nowMs: 0, running: true, probe: (): Promise<unknown> => Promise.resolve(), probes: 0 };
  const isReady = createReadiness({
    probe: () => {
      world.probes += 1;
      return world.probe();
    },
    isRunning: () => world.running,
    now: () => world.nowMs,
    probeMs: 20,
  });
  return { isReady, world };
}

Deno.test("the server is ready when something can be written, and asks the disk now and then only", async () => {
  const { isReady, world } = openReadiness();
  for (let time = 0; time < 100; time += 1) assert.equal(await isReady(), true);
  assert.equal(world.probes, 1);
  world.nowMs = 5000;
  world.probe = () => Promise.reject(new Error("disk full"));
  assert.equal(await isReady(), false);
  world.nowMs = 10_000;
  world.probe = () => Promise.resolve();
  assert.equal(await isReady(), true);
  assert.equal(world.probes, 3);
});

Deno.test("the server is not ready when a write takes too long, nor while it stops", async () => {
  const { isReady, world } = openReadiness();
  world.probe = () => new Promise(() => {});
  assert.equal(await isReady(), false);
  world.nowMs = 5000;
  world.probe = () => Promise.resolve();
  assert.equal(await isReady(), true);
  world.running = false;
  assert.equal(await isReady(), false);
});
