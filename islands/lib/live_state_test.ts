import assert from "node:assert/strict";
import { afterChange, type LiveChange, type LiveState, retryMs, STALE_AFTER_MS } from "./live_state.ts";

function run(changes: readonly [LiveChange, number][]): LiveState {
  return changes.reduce((state: LiveState, [change, nowMs]) => afterChange(state, change, nowMs), {
    kind: "connecting",
  });
}

Deno.test("afterChange() goes from live over reconnecting to stale, and back", () => {
  assert.deepEqual(run([["opened", 1]]), { kind: "live" });
  assert.deepEqual(run([["opened", 1], ["lost", 2]]), { kind: "reconnecting", sinceMs: 2 });
  assert.deepEqual(run([["opened", 1], ["lost", 2], ["lost", 900], ["waited", 1000]]), {
    kind: "reconnecting",
    sinceMs: 2,
  });
  assert.deepEqual(run([["opened", 1], ["lost", 2], ["waited", 2 + STALE_AFTER_MS]]), { kind: "stale", sinceMs: 2 });
  assert.deepEqual(run([["opened", 1], ["lost", 2], ["waited", 90_000], ["lost", 99_000]]), {
    kind: "stale",
    sinceMs: 2,
  });
  assert.deepEqual(run([["opened", 1], ["lost", 2], ["waited", 90_000], ["opened", 99_000]]), { kind: "live" });
});

Deno.test("afterChange() says that a stream which never opened is gone too", () => {
  assert.deepEqual(run([["waited", 90_000]]), { kind: "connecting" });
  assert.deepEqual(run([["lost", 5]]), { kind: "reconnecting", sinceMs: 5 });
});

Deno.test("afterChange() stays outdated: only a new page understands the server", () => {
  assert.deepEqual(run([["opened", 1], ["misunderstood", 2], ["opened", 3], ["lost", 4]]), { kind: "outdated" });
});

Deno.test("retryMs() grows to 10 s and spreads pages out", () => {
  assert.equal(retryMs(0, () => 0), 250);
  assert.equal(retryMs(0, () => 1), 500);
  assert.equal(retryMs(3, () => 1), 4_000);
  assert.equal(retryMs(1_000, () => 1), 10_000);
  assert.equal(retryMs(1_000, () => 0), 5_000);
});
