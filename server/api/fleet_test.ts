import assert from "node:assert/strict";
import { DevicePage, DeviceRow, Fleet, ReleasePage, ReleaseProgress } from "@nix-ota/common";
import { testDevice, testState } from "../testing/test_device.ts";
import { openTestServer, outcomeOf, PUBLISHER, type TestServer } from "../testing/test_server.ts";
import { testRelease, testStorePath } from "@/common/testing/documents.ts";

/** Enrols and checks in a device with this state. */
async function addDevice(
  server: TestServer,
  { name, seed, running = null, channel = "prod" }: {
    name: string;
    seed: number;
    running?: string | null;
    channel?: string;
  },
): Promise<void> {
  const device = await testDevice(name, seed);
  device.chain.nonce = (await (await server.post("/enroll", await device.enrol({ channel }))).json()).nonce;
  const response = await server.post("/checkin", await device.checkin({ channel, state: testState({ running }) }));
  assert.equal(response.status, 200);
}

async function get(server: TestServer, path: string): Promise<unknown> {
  const response = await server.request(path);
  assert.equal(response.status, 200, await response.clone().text());
  assert.equal(response.headers.get("cache-control"), "no-store");
  return await response.json();
}

Deno.test("the operator API answers in the form that others read", async () => {
  const server = await openTestServer();
  const storePath = testRelease().targets[0]?.storePath ?? "";
  await server.publish();
  await addDevice(server, { name: "fridge-1", seed: 1, running: storePath });
  await addDevice(server, { name: "fridge-2", seed: 2, running: testStorePath("older") });
  const fleet = Fleet(await get(server, "/api/v1/fleet"), "fleet");
  assert.deepEqual([fleet.devices.current, fleet.devices.waiting, fleet.channels[0]?.head?.revision], [1, 1, 7]);
  const row = DeviceRow(await get(server, "/api/v1/devices/fridge-1"), "device");
  assert.deepEqual([row.standing, row.runningRevision, row.seenMs], ["current", 7, server.clock.nowMs]);
  assert.equal(DevicePage(await get(server, "/api/v1/devices"), "page").devices.length, 2);
  assert.equal(ReleasePage(await get(server, "/api/v1/releases"), "page").releases[0]?.signers.length, 1);
  const progress = ReleaseProgress(await get(server, "/api/v1/releases/prod/7/progress"), "progress");
  assert.deepEqual([progress.isHead, progress.counts.waiting, progress.notable.map(({ deviceId }) => deviceId)], [
    true,
    1,
    ["fridge-2"],
  ]);
  await server.close();
});

Deno.test("GET devices pages by name and filters", async (t) => {
  const server = await openTestServer();
  const storePath = testRelease().targets[0]?.storePath ?? "";
  await server.publish();
  for (const index of [1, 2, 3, 4, 5]) {
    await addDevice(server, {
      name: `d${index}`,
      seed: index,
      running: index % 2 ? storePath : null,
      channel: index < 5 ? "prod" : "beta",
    });
  }
  const cases: [string, string[], string | null][] = [
    ["", ["d1", "d2", "d3", "d4", "d5"], null],
    ["?limit=2", ["d1", "d2"], "d2"],
    ["?limit=2&after=d2", ["d3", "d4"], "d4"],
    ["?limit=2&after=d4", ["d5"], null],
    ["?limit=5", ["d1", "d2", "d3", "d4", "d5"], null],
    ["?channel=prod", ["d1", "d2", "d3", "d4"], null],
    ["?standing=current", ["d1", "d3"], null],
    ["?channel=prod&standing=waiting&limit=1", ["d2"], "d2"],
    ["?channel=beta&standing=no_target&after=", ["d5"], null],
    ["?channel=none", [], null],
    ["?standing=rejected", [], null],
  ];
  for (const [query, names, next] of cases) {
    await t.step(query || "all", async () => {
      const page = DevicePage(await get(server, `/api/v1/devices${query}`), "page");
      assert.deepEqual([page.devices.map(({ deviceId }) => deviceId), page.next], [names, next]);
    });
  }
  for (
    const query of [
      "limit=0",
      "limit=201",
      "limit=x",
      "limit=1.5",
      "after=Ä",
      "channel=..",
      "standing=lost",
      "limit=1e2",
    ]
  ) {
    await t.step(query, async () => {
      assert.equal(await outcomeOf(await server.request(`/api/v1/devices?${query}`)), "400 request_invalid");
    });
  }
  await server.close();
});

Deno.test("GET releases pages from the newest on, and splits no revision that channels share", async (t) => {
  const server = await openTestServer();
  for (const channel of ["a", "b", "c"]) {
    let prev: string | null = null;
    for (const revision of [1, 2, 3]) prev = await server.publish({ channel, revision, prev });
  }
  const cases: [string, string, number | null][] = [
    ["", "a3 b3 c3 a2 b2 c2 a1 b1 c1", null],
    ["?limit=4", "a3 b3 c3", 3],
    ["?limit=4&before=3", "a2 b2 c2", 2],
    ["?limit=9", "a3 b3 c3 a2 b2 c2 a1 b1 c1", null],
    ["?channel=b&limit=2", "b3 b2", 2],
    ["?channel=b&limit=2&before=2", "b1", null],
    ["?before=1", "", null],
  ];
  for (const [query, names, next] of cases) {
    await t.step(query || "all", async () => {
      const page = ReleasePage(await get(server, `/api/v1/releases${query}`), "page");
      assert.deepEqual([page.releases.map((one) => `${one.channel}${one.revision}`).join(" "), page.next], [
        names,
        next,
      ]);
    });
  }
  assert.equal(await outcomeOf(await server.request("/api/v1/releases?before=0")), "400 request_invalid");
  await server.close();
});

Deno.test("GET progress counts for an older release too", async () => {
  const server = await openTestServer();
  const [target] = testRelease().targets;
  assert.ok(target);
  const prev = await server.publish();
  await addDevice(server, { name: "old", seed: 1, running: target.storePath });
  await addDevice(server, { name: "other", seed: 2, running: testStorePath("other") });
  await server.publish({ revision: 8, prev, targets: [{ ...target, storePath: testStorePath("newer") }] });
  const [old, head] = await Promise.all(
    [7, 8].map(async (revision) =>
      ReleaseProgress(await get(server, `/api/v1/releases/prod/${revision}/progress`), "progress")
    ),
  );
  assert.deepEqual([old?.isHead, old?.counts.current, old?.counts.waiting], [false, 1, 1]);
  assert.deepEqual(old?.notable, []); // Nobody failed it, and whoever waits has a newer one to wait for.
  assert.deepEqual(head?.notable.map(({ deviceId }) => deviceId), ["old", "other"]);
  assert.deepEqual([head?.isHead, head?.counts.current, head?.counts.waiting], [true, 0, 2]);
  await server.close();
});

Deno.test("POST accept and reject decide about the key that the operator saw", async (t) => {
  const server = await openTestServer({ enrolment: "approve" });
  const device = await testDevice("fridge-1");
  await server.post("/enroll", await device.enrol());
  const decide = (what: string, body: unknown, id = "fridge-1"): Promise<Response> =>
    server.request(`/api/v1/devices/${id}/${what}`, {
      method: "POST",
      headers: { "content-type": "application/json", ...PUBLISHER },
      body: JSON.stringify(body),
    });
  const { fingerprint } = device;
  const other = `SHA256:${"A".repeat(43)}`;
  const cases: [string, Promise<Response>, string][] = [
    ["another fingerprint", decide("accept", { fingerprint: other }), "409 fingerprint_mismatch"],
    ["no fingerprint", decide("accept", {}), "400 request_invalid"],
    ["more than a fingerprint", decide("accept", { fingerprint, force: true }), "400 request_invalid"],
    ["a cut fingerprint", decide("accept", { fingerprint: fingerprint.slice(0, -1) }), "400 request_invalid"],
    ["another device", decide("accept", { fingerprint }, "fridge-2"), "404 not_found"],
    ["no device name", decide("accept", { fingerprint }, "Fridge"), "404 not_found"],
  ];
  for (const [name, response, expected] of cases) {
    await t.step(name, async () => assert.equal(await outcomeOf(await response), expected));
  }
  for (
    const [what, status] of [["accept", "accepted"], ["accept", "accepted"], ["reject", "rejected"], [
      "accept",
      "accepted",
    ]] as const
  ) {
    const row = DeviceRow(await (await decide(what, { fingerprint })).json(), "device");
    assert.equal(row.status, status);
  }
  assert.deepEqual(server.logged, ["device_enrolled", "device_accepted", "device_rejected", "device_accepted"]);
  const events = server.rows("SELECT kind, actor FROM event ORDER BY id");
  assert.deepEqual(events.map(({ kind }) => kind), [
    "device_pending",
    "device_accepted",
    "device_rejected",
    "device_accepted",
  ]);
  assert.match(String(events[1]?.["actor"]), /^token [0-9a-f]{12}$/);
  await server.close();
});

Deno.test("GET events tells of devices and releases as they change", async () => {
  const server = await openTestServer();
  const response = await server.request("/api/v1/events");
  assert.equal(response.headers.get("content-type"), "text/event-stream");
  assert.ok(response.body);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  const until = async (pattern: RegExp): Promise<void> => {
    while (!pattern.test(text)) {
      const { done, value } = await reader.read();
      assert.ok(!done);
      text += value;
    }
  };
  await until(/event: fleet\n/);
  await addDevice(server, { name: "fridge-1", seed: 1 });
  await until(/event: device\ndata: .*"deviceId":"fridge-1".*\n/);
  await server.publish();
  await until(/event: release\ndata: .*"revision":7.*\n/);
  await until(/event: fleet\ndata: .*"revision":7.*\n/);
  await reader.cancel();
  await server.close();
});
