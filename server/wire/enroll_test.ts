import assert from "node:assert/strict";
import { formatRawPublicKey, signEnvelope } from "@nix-ota/common";
import { testSigner } from "@/common/testing/documents.ts";
import { testDevice } from "../testing/test_device.ts";
import { ENROL_TOKEN, openTestServer, outcomeOf, type TestServerOptions } from "../testing/test_server.ts";

Deno.test("POST /enroll answers by the policy and the token", async (t) => {
  const cases: [TestServerOptions["enrolment"] & string, string | null, string][] = [
    ["open", null, "accepted"],
    ["approve", null, "pending"],
    ["approve", ENROL_TOKEN, "accepted"],
    ["approve", "another-token-than-ours", "pending"],
    ["token", ENROL_TOKEN, "accepted"],
    ["token", "another-token-than-ours", "403 enrolment_refused"],
    ["token", null, "403 enrolment_refused"],
  ];
  for (const [enrolment, token, expected] of cases) {
    await t.step(`${enrolment}, token ${token}`, async () => {
      const server = await openTestServer({ enrolment });
      const device = await testDevice("fridge-1");
      const response = await server.post("/enroll", await device.enrol({ token }));
      const found = response.ok ? (await response.json()).status : await outcomeOf(response);
      assert.equal(found, expected);
      assert.equal(server.deps.reader.device("fridge-1")?.status, response.ok ? expected : undefined);
      await server.close();
    });
  }
});

Deno.test("POST /enroll with the same key again answers the same and keeps no event", async () => {
  const server = await openTestServer({ enrolment: "approve" });
  const device = await testDevice("fridge-1");
  const first = await (await server.post("/enroll", await device.enrol())).json();
  const second = await (await server.post("/enroll", await device.enrol())).json();
  assert.deepEqual(second, first);
  assert.deepEqual(server.logged, ["device_enrolled"]);
  assert.equal(
    (await (await server.post("/enroll", await device.enrol({ token: ENROL_TOKEN }))).json()).status,
    "accepted",
  );
  await server.close();
});

Deno.test("POST /enroll refuses another key for a name until an operator rejects the first", async () => {
  const server = await openTestServer({ enrolment: "approve" });
  const [squatter, owner] = [await testDevice("fridge-1", 101), await testDevice("fridge-1", 102)];
  await server.post("/enroll", await squatter.enrol());
  assert.equal(await outcomeOf(await server.post("/enroll", await owner.enrol())), "409 device_id_taken");

  const { fingerprint } = squatter;
  await server.store.submit<"decide">({
    kind: "decide",
    nowMs: 1,
    name: "fridge-1",
    fingerprint,
    status: "rejected",
    actor: "t",
  });
  assert.equal(await outcomeOf(await server.post("/enroll", await squatter.enrol())), "403 device_rejected");
  assert.equal(await outcomeOf(await server.post("/enroll", await owner.enrol())), "200");
  assert.equal(server.deps.reader.device("fridge-1")?.fingerprint, owner.fingerprint);
  assert.equal(await outcomeOf(await server.post("/enroll", await squatter.enrol())), "409 device_id_taken");
  await server.close();
});

Deno.test("POST /enroll refuses what is not signed by the key it names", async (t) => {
  const server = await openTestServer();
  const device = await testDevice("fridge-1");
  const other = await testSigner(103);
  const good = await device.enrol();
  const named = await device.enrol({ publicKey: formatRawPublicKey(other.publicKey) });
  const smallOrder = "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
  const cases: [string, Parameters<typeof server.post>[1], string][] = [
    ["another key than the one named", named, "422 signatures_insufficient"],
    ["a key of small order", await device.enrol({ publicKey: smallOrder }), "422 payload_invalid"],
    [
      "signed as another kind of document",
      await signEnvelope("checkin", good.payload, [device.signer]),
      "422 payload_type_unexpected",
    ],
    ["two signatures", { ...good, signatures: [...good.signatures, ...good.signatures] }, "422 envelope_invalid"],
    ["another fleet", await device.enrol({ fleet: "other" }), "422 fleet_mismatch"],
    ["not JSON", "{", "422 json_not_canonical"],
    ["empty", "", "422 json_not_canonical"],
  ];
  for (const [name, envelope, expected] of cases) {
    await t.step(name, async () => assert.equal(await outcomeOf(await server.post("/enroll", envelope)), expected));
  }
  assert.equal(server.deps.reader.devices({ channel: null, standing: null, after: null, limit: 10 }).devices.length, 0);
  await server.close();
});

Deno.test("POST /enroll lets one address ask so often, and holders of a token more often", async () => {
  const server = await openTestServer({ enrolment: "approve" });
  const device = await testDevice("fridge-1");
  const [plain, withToken] = [await device.enrol(), await device.enrol({ token: ENROL_TOKEN })];
  for (let count = 0; count < 120; count += 1) assert.equal((await server.post("/enroll", plain)).status, 200);
  const refused = await server.post("/enroll", plain);
  assert.equal(refused.headers.get("retry-after"), "1");
  assert.equal(await outcomeOf(refused), "429 rate_limited");
  assert.equal(await outcomeOf(await server.post("/enroll", withToken)), "200");
  server.clock.nowMs += 1000;
  assert.equal(await outcomeOf(await server.post("/enroll", plain)), "200");
  await server.close();
});

Deno.test("POST /enroll refuses strangers when a thousand already wait", async () => {
  const server = await openTestServer({ enrolment: "approve" });
  const device = await testDevice("fridge-1");
  const { publicKey: { bytes: publicKey } } = device.signer;
  const facts = { channel: "prod", system: "x86_64-linux", variant: "default" };
  const filler = {
    kind: "enrol",
    nowMs: 1,
    publicKey,
    facts,
    hostname: "",
    details: "",
    actor: "t",
    nonce: "n",
  } as const;
  await Promise.all(Array.from({ length: 1000 }, (_, index) =>
    server.store.submit<"enrol">({
      ...filler,
      name: `waiting-${index}`,
      fingerprint: `SHA256:${index}`,
      admission: "pending",
      pendingMax: 1000,
    })));
  assert.equal(await outcomeOf(await server.post("/enroll", await device.enrol())), "503 enrolment_full");
  assert.equal(await outcomeOf(await server.post("/enroll", await device.enrol({ token: ENROL_TOKEN }))), "200");
  assert.equal(server.deps.reader.fleet().devices.pending, 1000);
  await server.close();
});

Deno.test("POST /enroll cleans what a device says of itself", async () => {
  const server = await openTestServer();
  const device = await testDevice("fridge-1");
  const { payload } = await device.enrol();
  const { facts } = JSON.parse(new TextDecoder().decode(payload));
  await server.post("/enroll", await device.enrol({ facts: { ...facts, hostname: "\u001b[31mred\u202eevil\n" } }));
  assert.equal(server.deps.reader.device("fridge-1")?.hostname, "redevil");
  await server.close();
});
