import assert from "node:assert/strict";
import { createFleet } from "./fake/device.ts";
import { type Handler, type Loopback, openLoopback } from "./fake/loopback.ts";
import { runResident } from "./resident.ts";

const fleet = await createFleet();
const DIRECTIVE = {
  v: 1,
  nonce: "n1",
  serverTime: "2026-06-01T00:00:00Z",
  pollAfterSeconds: 3600,
  root: 0,
  offer: null,
};

function checkedIn(): Response {
  return new Response(JSON.stringify(DIRECTIVE), { headers: { "content-type": "application/json" } });
}

/** A server that answers check-ins, and the long poll as told. */
function serving(current: () => Response | Promise<Response>): Handler {
  return (request) => new URL(request.url).pathname === "/checkin" ? checkedIn() : current();
}

function count({ requests }: Loopback, what: string): number {
  return requests.filter((one) => one.startsWith(what)).length;
}

async function until(condition: () => boolean, limitMs = 20_000): Promise<void> {
  const deadlineMs = performance.now() + limitMs;
  while (!condition()) {
    if (performance.now() > deadlineMs) throw new Error("nothing came of it");
    await pause(10);
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Runs the resident agent while the test looks. */
async function whileRunning(device: Loopback, test: () => Promise<void>): Promise<void> {
  const running = runResident(device.context, device.agent);
  try {
    await test();
  } finally {
    device.stop();
    const startMs = performance.now();
    await running;
    assert.ok(performance.now() - startMs < 10_000, "it takes long to stop");
  }
}

Deno.test("the long poll wakes the agent at once when the head changes", async () => {
  await using device = await openLoopback(fleet);
  let publish: (response: Response) => void = () => {};
  device.serve(serving(() => new Promise((resolve) => publish = resolve)));
  await whileRunning(device, async () => {
    await until(() => count(device, "GET /channels/prod/current") === 1);
    assert.equal(count(device, "POST"), 1);
    const startMs = performance.now();
    publish(new Response("{}", { headers: { etag: '"new"' } }));
    await until(() => count(device, "POST") >= 2);
    // Without the wake-up the next check-in would be an hour away (DIRECTIVE).
    assert.ok(performance.now() - startMs < 5_000, "it took long");
  });
});

Deno.test("a long poll that is answered at once without news is not asked again before the next check-in", async (t) => {
  const cases: readonly (readonly [string, () => Response])[] = [
    ["304", () => new Response(null, { status: 304 })],
    ["404", () => new Response("", { status: 404 })],
    ["500", () => new Response("", { status: 500 })],
    ["the same head again", () => new Response("{}", { headers: { etag: '"old"' } })],
    ["no ETag", () => new Response("{}")],
    ["an ETag that is none", () => new Response("{}", { headers: { etag: "old" } })],
  ];
  for (const [name, answer] of cases) {
    await t.step(name, async () => {
      await using device = await openLoopback(fleet);
      device.serve(serving(answer));
      await whileRunning(device, async () => {
        await until(() => count(device, "GET") >= 1);
        await pause(1_500);
        assert.ok(count(device, "GET") <= 3, `${count(device, "GET")} polls`);
        assert.ok(count(device, "POST") <= 2, `${count(device, "POST")} check-ins`);
      });
    });
  }
});

Deno.test("a server whose head changes all the time keeps the agent from nothing", async () => {
  await using device = await openLoopback(fleet);
  let head = 0;
  device.serve(serving(() => new Response("{}", { headers: { etag: `"${head++}"` } })));
  await whileRunning(device, async () => {
    await pause(3_000);
    assert.ok(count(device, "POST") <= 7, `${count(device, "POST")} check-ins in 3 s`);
  });
});

Deno.test("a person's check-now is done at once, and its note is gone", async () => {
  await using device = await openLoopback(fleet);
  device.serve(serving(() => new Promise(() => {})));
  await whileRunning(device, async () => {
    await until(() => count(device, "GET") === 1);
    await Deno.writeTextFile(device.context.paths.checkRequest, "");
    await until(() => count(device, "POST") >= 2);
    await until(() => {
      try {
        Deno.statSync(device.context.paths.checkRequest);
        return false;
      } catch {
        return true;
      }
    });
  });
});

Deno.test("a journal that cannot be written stops nothing but the step", async () => {
  await using device = await openLoopback(fleet);
  device.serve(serving(() => new Response("", { status: 404 })));
  // A directory in the place of the temporary file: every write fails, as on a full disk.
  const blocked = `${device.context.config.stateDir}/journal.json.new`;
  await Deno.mkdir(blocked);
  const before = device.agent.situation;
  await assert.rejects(
    device.agent.handle({ kind: "refused", release: null, failure: { reason: "no_target", detail: "x" } }),
  );
  assert.deepEqual(device.agent.situation, before, "nothing is believed that is not written");
  await Deno.remove(blocked);
  await device.agent.handle({ kind: "refused", release: null, failure: { reason: "no_target", detail: "x" } });
  const { last } = device.agent.situation.memory;
  assert.equal(last?.reason, "no_target");
});
