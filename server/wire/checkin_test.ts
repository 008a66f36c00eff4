import assert from "node:assert/strict";
import { type Directive, formatEnvelope, type Result, signEnvelope } from "@nix-ota/common";
import { testSigner, testStorePath } from "@/common/testing/documents.ts";
import { type TestDevice, testDevice, testState } from "../testing/test_device.ts";
import { openTestServer, outcomeOf, type TestServer, type TestServerOptions } from "../testing/test_server.ts";

async function enrolled(options: TestServerOptions = {}): Promise<{ server: TestServer; device: TestDevice }> {
  const server = await openTestServer(options);
  const device = await testDevice("fridge-1");
  device.chain.nonce = (await (await server.post("/enroll", await device.enrol())).json()).nonce;
  return { server, device };
}

/** Sends a check-in that must be taken, and goes on from its answer. */
async function checkIn(
  { server, device }: { server: TestServer; device: TestDevice },
  change: Parameters<TestDevice["checkin"]>[0] = {},
): Promise<Directive> {
  const response = await server.post("/checkin", await device.checkin(change));
  assert.equal(response.status, 200, await response.clone().text());
  const directive: Directive = await response.json();
  device.chain.nonce = directive.nonce;
  return directive;
}

function decide(
  { server, device }: { server: TestServer; device: TestDevice },
  status: "accepted" | "rejected",
): Promise<unknown> {
  const { name, fingerprint } = device;
  return server.store.submit<"decide">({ kind: "decide", nowMs: 1, name, fingerprint, status, actor: "test" });
}

Deno.test("POST /checkin answers an accepted device with its channel's current release", async () => {
  const both = await enrolled();
  assert.equal((await checkIn(both)).offer, null);
  const digest = await both.server.publish();
  const directive = await checkIn(both);
  assert.deepEqual(directive, {
    v: 1,
    nonce: directive.nonce,
    serverTime: "2026-02-01T00:00:00Z",
    pollAfterSeconds: 60,
    root: 0,
    offer: {
      channel: "prod",
      revision: 7,
      digest,
      stage: true,
      activate: true,
      reason: 'Revision 7 is the current release of "prod"',
    },
    readToken: null,
  });
  await both.server.close();
});

Deno.test("POST /checkin gives a pending device nothing but shows it, and an accepted one its release", async () => {
  const both = await enrolled({ enrolment: "approve" });
  await both.server.publish();
  for (const detail of ["first", "second"]) {
    const envelope = await both.device.checkin({ state: testState({ detail }) });
    assert.equal(await outcomeOf(await both.server.post("/checkin", envelope)), "403 device_pending");
    const row = both.server.deps.reader.device("fridge-1");
    assert.deepEqual([row?.standing, row?.state?.detail, row?.seenMs], ["pending", detail, both.server.clock.nowMs]);
  }
  await decide(both, "accepted");
  assert.equal((await checkIn(both)).offer?.revision, 7);
  await decide(both, "rejected");
  assert.equal(await outcomeOf(await both.server.post("/checkin", await both.device.checkin())), "403 device_rejected");
  await both.server.close();
});

Deno.test("POST /checkin goes on when answers were lost, any number of them", async () => {
  const both = await enrolled();
  const { server, device } = both;
  await checkIn(both);
  for (let lost = 0; lost < 3; lost += 1) {
    assert.equal((await server.post("/checkin", await device.checkin())).status, 200);
  }
  await checkIn(both);
  await checkIn(both);
  assert.equal(server.deps.reader.device("fridge-1")?.cloneSuspected, false);
  await server.close();
});

Deno.test("POST /checkin refuses a replay, and a nonce from before, with what to go on from", async () => {
  const both = await enrolled();
  const { server, device } = both;
  const [old, envelope] = [device.chain.nonce, await device.checkin()];
  const { nonce } = await (await server.post("/checkin", envelope)).json();

  const replayed = await server.post("/checkin", envelope);
  const { code, ...members } = await replayed.json();
  assert.equal(code, "checkin_replayed");
  assert.deepEqual([members.nonce, members.seq], [nonce, 1]);

  device.chain.nonce = nonce;
  await checkIn(both);
  for (const stale of [old, "", "unknown"]) {
    const refused = await server.post("/checkin", await device.checkin({ nonce: stale }));
    const problem = await refused.clone().json();
    assert.equal(await outcomeOf(refused), "409 nonce_stale");
    assert.deepEqual([problem.nonce, problem.seq], [device.chain.nonce, 2]);
  }
  await checkIn(both);
  await server.close();
});

Deno.test("POST /checkin refuses what the device did not sign", async (t) => {
  const { server, device } = await enrolled();
  const other = await testDevice("fridge-2", 104);
  const good = await device.checkin();
  const cases: [string, Parameters<typeof server.post>[1], string][] = [
    ["signed with another key", await device.checkin({}, await testSigner(104)), "422 signatures_insufficient"],
    ["a device that is not enrolled", await other.checkin({ nonce: "x" }), "403 device_unknown"],
    ["another device's name", await device.checkin({ deviceId: "fridge-2" }), "403 device_unknown"],
    ["another fleet", await device.checkin({ fleet: "other" }), "422 fleet_mismatch"],
    ["a log in its place", await device.log(), "422 payload_type_unexpected"],
    ["signed as a log", await signEnvelope("log", good.payload, [device.signer]), "422 payload_type_unexpected"],
    ["its payload changed", { ...good, payload: (await device.checkin()).payload }, "422 signatures_insufficient"],
    ["no payload", { ...good, payload: new Uint8Array() }, "422 payload_not_canonical"],
    ["cut short", formatEnvelope(good).slice(0, -10), "422 json_not_canonical"],
    ["with blanks", `${formatEnvelope(good)} `, "422 json_not_canonical"],
  ];
  for (const [name, envelope, expected] of cases) {
    await t.step(name, async () => assert.equal(await outcomeOf(await server.post("/checkin", envelope)), expected));
  }
  assert.equal(server.deps.reader.device("fridge-1")?.seenMs, null);
  await server.close();
});

Deno.test("POST /checkin suspects a clone when a boot comes back after another one", async () => {
  const both = await enrolled();
  const { server } = both;
  const suspected = (): boolean | undefined => server.deps.reader.device("fridge-1")?.cloneSuspected;
  for (const bootId of ["aa", "aa", "bb", "cc", "dd"]) await checkIn(both, { bootId });
  assert.equal(suspected(), false);
  await checkIn(both, { bootId: "bb" });
  assert.equal(suspected(), true);
  assert.equal(server.logged.filter((event) => event === "clone_suspected").length, 1);
  await decide(both, "accepted");
  assert.equal(suspected(), false);
  await server.close();
});

Deno.test("POST /checkin keeps an event of what changed, and none of a heartbeat", async () => {
  const both = await enrolled();
  const told: string[] = [];
  both.server.store.onChange((change) =>
    told.push(change.kind === "device" && change.heartbeat ? "heartbeat" : change.kind)
  );
  await checkIn(both);
  await checkIn(both);
  await checkIn(both, { state: testState({ disk: { free: 900, total: 1000 } }) });
  await checkIn(both, { state: testState({ disk: { free: 901, total: 1000 } }) });
  await checkIn(both, { state: testState({ phase: "staging" }) });
  assert.deepEqual(told, ["device", "heartbeat", "device", "heartbeat", "device"]);
  const events = both.server.rows("SELECT kind FROM event ORDER BY id").map(({ kind }) => kind);
  assert.deepEqual(events, ["device_enrolled", "device_state", "device_state"]);
  await both.server.close();
});

Deno.test("POST /checkin says where the device stands with its release", async (t) => {
  const both = await enrolled();
  const { server } = both;
  const storePath = testStorePath("nixos-system-fridge-26.05");
  const other = testStorePath("older");
  const digest = await server.publish();
  const about = { revision: 7, digest, storePath };
  const before = { revision: 6, digest: `sha256:${"1".repeat(64)}`, storePath: other };
  const failed = (result: Result): Parameters<typeof testState>[0] => ({ running: other, target: about, result });
  const cases: [string, Parameters<typeof testState>[0], string][] = [
    ["runs something else", { running: other }, "waiting"],
    ["cannot tell", {}, "waiting"],
    ["busy with an older release", { phase: "staging", target: before }, "waiting"],
    ["stages it", { phase: "staging", target: about, running: other }, "updating"],
    ["runs it on probation", { phase: "probation", target: about, running: storePath }, "updating"],
    ["runs it", { target: about, result: "succeeded", running: storePath }, "current"],
    ["runs it without having been told", { running: storePath }, "current"],
    ["went back", failed("rolled_back"), "failed"],
    ["could not fetch it", failed("failed_before_activation"), "failed"],
    ["could not go back", { ...failed("rollback_failed"), running: storePath }, "failed"],
    ["refused it", failed("refused"), "failed"],
    ["failed an older one", { ...failed("rolled_back"), target: before }, "waiting"],
    ["waits for a reboot", failed("pending_reboot"), "waiting"],
  ];
  for (const [name, state, expected] of cases) {
    await t.step(name, async () => {
      await checkIn(both, { state: testState(state) });
      assert.equal(server.deps.reader.device("fridge-1")?.standing, expected);
      assert.equal(server.deps.reader.fleet().devices[expected as "current"], 1);
    });
  }
  await t.step("of a kind that the release has nothing for", async () => {
    await checkIn(both, { variant: "toaster", state: testState({ running: storePath }) });
    assert.equal(server.deps.reader.device("fridge-1")?.standing, "no_target");
  });
  await server.close();
});

Deno.test("POST /checkin follows a device to another channel", async () => {
  const both = await enrolled();
  const { server } = both;
  await server.publish({ channel: "beta", revision: 3 });
  assert.equal((await checkIn(both, { channel: "beta" })).offer?.channel, "beta");
  const fleet = server.deps.reader.fleet();
  assert.deepEqual(fleet.channels.map(({ channel, devices }) => [channel, devices.waiting]), [["beta", 1]]);
  await server.close();
});

Deno.test("POST /checkin cleans the texts of a device", async () => {
  const both = await enrolled();
  const hostile = "\u001b]0;title\u0007a\u202eb\u0000c\r\nd";
  const state = testState({
    detail: hostile,
    failedUnits: [hostile],
    inhibitors: [hostile],
    kernel: hostile,
    agent: hostile,
  });
  await checkIn(both, { state });
  const kept = JSON.stringify(both.server.deps.reader.device("fridge-1")?.state);
  // deno-lint-ignore no-control-regex -- These are the characters that must be gone.
  assert.doesNotMatch(kept, /\\u00|\\r|\\n|[\u0000-\u001f\u202e]/);
  await both.server.close();
});

Deno.test("POST /checkin/log keeps the last logs of a device, once each and only when it is accepted", async () => {
  const both = await enrolled({ enrolment: "approve" });
  const { server, device } = both;
  const send = async (seq: number): Promise<string> =>
    await outcomeOf(
      await server.post("/checkin/log", await device.log({ seq, log: `log ${seq}\nBearer abcdefghijkl\n` })),
    );
  assert.equal(await send(1), "403 device_pending");
  await decide(both, "accepted");
  assert.equal(await send(1), "204");
  assert.equal(await send(1), "204");
  assert.equal(await send(9), "204");
  assert.equal(await send(8), "409 checkin_replayed");
  for (const seq of [10, 11, 12, 13, 14]) assert.equal(await send(seq), "204");
  await decide(both, "rejected");
  assert.equal(await send(15), "403 device_rejected");
  const kept = server.rows("SELECT seq, log FROM device_log ORDER BY seq");
  assert.deepEqual(kept.map(({ seq }) => seq), [10, 11, 12, 13, 14]);
  assert.equal(kept[0]?.["log"], "log 10\nBearer [redacted]\n");
  await server.close();
});
