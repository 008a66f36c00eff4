import assert from "node:assert/strict";
import { encodeUtf8, ENVELOPE_CONTENT_TYPE, parseEnvelope, parseRelease } from "@nix-ota/common";
import { testDevice } from "../testing/test_device.ts";
import { openTestServer, outcomeOf, PUBLISH_TOKEN, PUBLISHER, type TestServer } from "../testing/test_server.ts";

const CURRENT = "/channels/prod/current";

/** A request that the server holds, and what it is answered in the end. */
async function holdPoll(
  server: TestServer,
  { headers, path = CURRENT }: { headers: Record<string, string>; path?: string },
): Promise<{ poll: Promise<Response> }> {
  const before = server.deps.waiters.size();
  const poll = server.request(path, { headers: { prefer: "wait=55", ...headers } });
  for (let turn = 0; turn < 100 && server.deps.waiters.size() === before; turn += 1) {
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  assert.equal(server.deps.waiters.size(), before + 1, "the request was not held");
  return { poll };
}

Deno.test("GET current serves the very bytes that were published, with their digest as ETag", async () => {
  const server = await openTestServer();
  assert.equal(await outcomeOf(await server.request(CURRENT)), "404 not_found");
  const digest = await server.publish();
  const response = await server.request(CURRENT);
  assert.equal(response.headers.get("etag"), `"${digest}"`);
  assert.equal(response.headers.get("content-type"), ENVELOPE_CONTENT_TYPE);
  assert.equal(response.headers.get("cache-control"), "public, no-cache");
  const bytes = new Uint8Array(await response.arrayBuffer());
  assert.equal(response.headers.get("content-length"), String(bytes.length));
  assert.equal(parseRelease(parseEnvelope(bytes).payload).revision, 7);

  const head = await server.request(CURRENT, { method: "HEAD" });
  assert.deepEqual([head.status, head.headers.get("etag"), (await head.arrayBuffer()).byteLength], [
    200,
    `"${digest}"`,
    0,
  ]);
  await server.close();
});

Deno.test("GET current answers 304 where If-None-Match names the release", async (t) => {
  const server = await openTestServer();
  const etag = `"${await server.publish()}"`;
  const cases: [string, number][] = [
    [etag, 304],
    [`W/${etag}`, 304],
    [`"other", W/${etag}`, 304],
    ["*", 304],
    ['"other"', 200],
    [etag.slice(1, -1), 200],
    ["", 200],
  ];
  for (const [header, expected] of cases) {
    await t.step(header || "empty", async () => {
      const response = await server.request(CURRENT, { headers: { "if-none-match": header } });
      assert.deepEqual([response.status, response.headers.get("etag")], [expected, etag]);
    });
  }
  await server.close();
});

Deno.test("GET current waits until the release changes", async () => {
  const server = await openTestServer();
  const prev = await server.publish();
  const polls = await Promise.all([0, 1, 2].map(() => holdPoll(server, { headers: { "if-none-match": `"${prev}"` } })));
  const other = await holdPoll(server, { headers: {}, path: "/channels/beta/current" });
  const digest = await server.publish({ revision: 8, prev });
  for (const { poll } of polls) assert.equal((await poll).headers.get("etag"), `"${digest}"`);
  assert.equal(server.deps.waiters.size(), 1);
  server.deps.waiters.stop();
  assert.equal(await outcomeOf(await other.poll), "404 not_found");
  await server.close();
});

Deno.test("GET current answers at once where there is news, and 304 when the wait is over or the server stops", async () => {
  const server = await openTestServer();
  const etag = `"${await server.publish()}"`;
  const waiting = { "if-none-match": etag, "prefer": "respond-async, wait=55" };
  assert.equal((await server.request(CURRENT, { headers: { prefer: "wait=55" } })).status, 200);
  assert.equal((await server.request(CURRENT, { method: "HEAD", headers: waiting })).status, 304);
  const startedMs = performance.now();
  const over = await server.request(CURRENT, { headers: { ...waiting, prefer: "wait=1" } });
  assert.equal(over.status, 304);
  assert.ok(performance.now() - startedMs >= 999);
  const { poll } = await holdPoll(server, { headers: waiting });
  server.deps.waiters.stop();
  assert.deepEqual([(await poll).status, (await poll).headers.get("etag")], [304, etag]);
  assert.equal((await server.request(CURRENT, { headers: waiting })).status, 304);
  await server.close();
});

Deno.test("GET releases/<revision> is immutable and knows what it has", async (t) => {
  const server = await openTestServer();
  const prev = await server.publish();
  await server.publish({ revision: 8, prev });
  const response = await server.request("/channels/prod/releases/7");
  assert.equal(response.headers.get("etag"), `"${prev}"`);
  assert.equal(response.headers.get("cache-control"), "public, max-age=31536000, immutable");
  assert.equal(parseEnvelope(encodeUtf8(await response.text())).signatures.length, 1);
  const headers = { "if-none-match": `"${prev}"` };
  assert.equal((await server.request("/channels/prod/releases/7", { headers })).status, 304);
  for (const path of ["9", "0", "-1", "7.0", "07", "1e1", "9007199254740992", "x", "%37%20"]) {
    await t.step(path, async () => {
      assert.equal(await outcomeOf(await server.request(`/channels/prod/releases/${path}`)), "404 not_found");
    });
  }
  for (const channel of ["Prod", "pr.od", "-prod", "a".repeat(64), "%2e%2e", "prod%00"]) {
    await t.step(channel, async () => {
      assert.equal(await outcomeOf(await server.request(`/channels/${channel}/current`)), "404 not_found");
    });
  }
  await server.close();
});

Deno.test("releases closed to strangers open with a device's own token, while it is accepted", async (t) => {
  const server = await openTestServer({ releaseReads: "enrolled" });
  await server.publish();
  const device = await testDevice("fridge-1");
  device.chain.nonce = (await (await server.post("/enroll", await device.enrol())).json()).nonce;
  const { readToken } = await (await server.post("/checkin", await device.checkin())).json();
  assert.match(readToken, /^nota_r_[0-9a-f_]{80,}$/);
  const basic = (password: string): string => `Basic ${btoa(`user:${password}`)}`;
  const cases: [string, string | null, string][] = [
    ["no token", null, "401 unauthorized"],
    ["the device's", `Bearer ${readToken}`, "200"],
    ["the publisher's", PUBLISHER.authorization, "200"],
    ["the publisher's as password", basic(PUBLISH_TOKEN), "200"],
    ["another", "Bearer nothing", "401 unauthorized"],
    ["the device's, changed", `Bearer ${readToken.slice(0, -1)}0`.replace(/00$/, "01"), "401 unauthorized"],
    ["the device's as another scheme", `Basic ${readToken}`, "401 unauthorized"],
  ];
  const paths = [CURRENT, "/channels/prod/releases/7"];
  for (const [name, authorization, expected] of cases) {
    await t.step(name, async () => {
      const headers = authorization === null ? {} : { authorization };
      for (const path of paths) assert.equal(await outcomeOf(await server.request(path, { headers })), expected);
    });
  }
  const response = await server.request(CURRENT, { headers: { authorization: `Bearer ${readToken}` } });
  assert.equal(response.headers.get("cache-control"), "private, no-cache");
  await t.step("the device's, to publish with", async () => {
    const headers = { authorization: `Bearer ${readToken}` };
    assert.equal(await outcomeOf(await server.post("/channels/prod/publish", "{}", headers)), "403 forbidden");
  });
  await t.step("the device's, a day and some hours later", async () => {
    server.clock.nowMs += 28 * 3_600_000;
    const headers = { authorization: `Bearer ${readToken}` };
    assert.equal(await outcomeOf(await server.request(CURRENT, { headers })), "401 unauthorized");
    server.clock.nowMs -= 28 * 3_600_000;
  });
  await t.step("the device's, after an operator rejected it", async () => {
    const { name, fingerprint } = device;
    await server.store.submit<"decide">({
      kind: "decide",
      nowMs: 1,
      name,
      fingerprint,
      status: "rejected",
      actor: "t",
    });
    const headers = { authorization: `Bearer ${readToken}` };
    assert.equal(await outcomeOf(await server.request(CURRENT, { headers })), "401 unauthorized");
  });
  await server.close();
});

Deno.test("a device that polls twice holds one place", async () => {
  const server = await openTestServer({ releaseReads: "enrolled" });
  const etag = `"${await server.publish()}"`;
  const headers = { "if-none-match": etag, "authorization": `Bearer ${server.deps.access.readTokenFor("fridge-1")}` };
  const device = await testDevice("fridge-1");
  await server.post("/enroll", await device.enrol());
  const first = await holdPoll(server, { headers });
  const second = server.request(CURRENT, { headers: { ...headers, prefer: "wait=55" } });
  assert.equal((await first.poll).status, 304);
  assert.equal(server.deps.waiters.size(), 1);
  server.deps.waiters.stop();
  assert.equal((await second).status, 304);
  await server.close();
});
