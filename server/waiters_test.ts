import assert from "node:assert/strict";
import { createWaiters } from "./waiters.ts";

Deno.test("wait() ends when its channel changes, and only then", async () => {
  const waiters = createWaiters({ now: () => 0 });
  const prod = waiters.wait({ channel: "prod", key: null, ms: 1000 });
  const beta = waiters.wait({ channel: "beta", key: null, ms: 1000 });
  waiters.wake("prod");
  assert.equal(await prod, "changed");
  assert.equal(waiters.size(), 1);
  waiters.stop();
  assert.equal(await beta, "over");
});

Deno.test("wait() ends when its time is over", async () => {
  const clock = { nowMs: 0 };
  const waiters = createWaiters({ now: () => clock.nowMs, sweepMs: 1 });
  const [short, long] = [10, 20].map((ms) => waiters.wait({ channel: "prod", key: null, ms }));
  clock.nowMs = 10;
  assert.equal(await short, "over");
  assert.equal(waiters.size(), 1);
  clock.nowMs = 20;
  assert.equal(await long, "over");
});

Deno.test("wait() of the same one ends the wait before", async () => {
  const waiters = createWaiters({ now: () => 0 });
  const first = waiters.wait({ channel: "prod", key: "fridge-1", ms: 1000 });
  const second = waiters.wait({ channel: "beta", key: "fridge-1", ms: 1000 });
  const other = waiters.wait({ channel: "prod", key: "fridge-2", ms: 1000 });
  assert.equal(await first, "over");
  assert.equal(waiters.size(), 2);
  waiters.wake("beta");
  assert.equal(await second, "changed");
  waiters.stop();
  await other;
});

Deno.test("wait() makes room for itself where the set is full", async () => {
  const waiters = createWaiters({ now: () => 0, waitersMax: 2 });
  const wait = (): Promise<string> => waiters.wait({ channel: "prod", key: null, ms: 1000 });
  const [oldest, ...others] = [wait(), wait(), wait()];
  assert.equal(await oldest, "over");
  assert.equal(waiters.size(), 2);
  waiters.wake("prod");
  assert.deepEqual(await Promise.all(others), ["changed", "changed"]);
});

Deno.test("wait() ends at once after stop()", async () => {
  const waiters = createWaiters({ now: () => 0 });
  waiters.stop();
  assert.equal(await waiters.wait({ channel: "prod", key: null, ms: 1000 }), "over");
});
