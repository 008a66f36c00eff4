import assert from "node:assert/strict";
import {
  digestOf,
  encodeUtf8,
  type Envelope,
  formatCanonicalJson,
  formatClosureListing,
  formatEnvelope,
  formatRelease,
  formatSignerKeys,
  type Json,
  type Release,
  signEnvelope,
  type Signer,
  SIGNER_KEYS_HEADER,
} from "@nix-ota/common";
import { TEST_NAR_HASH, testRelease, testSigner, testStorePath } from "@/common/testing/documents.ts";
import { openTestServer, outcomeOf, PUBLISHER, releaseSigner, type TestServer } from "../testing/test_server.ts";

const PUBLISH = "/channels/prod/publish";

async function sign(change: Partial<Release> = {}, ...signers: Signer[]): Promise<Envelope> {
  const by = signers.length > 0 ? signers : [await releaseSigner()];
  return signEnvelope("release", formatRelease(testRelease(change)), by);
}

/** Signs what no parser of ours would let through. */
async function signRaw(change: Readonly<Record<string, Json>>): Promise<Envelope> {
  const payload = formatCanonicalJson({ ...testRelease(), ...change } as unknown as Json);
  return signEnvelope("release", encodeUtf8(payload), [await releaseSigner()]);
}

Deno.test("publish answers 201, and 200 for the same release again", async () => {
  const server = await openTestServer();
  const envelope = await sign();
  const first = await server.post(PUBLISH, envelope, PUBLISHER);
  const answer = await first.json();
  assert.deepEqual([first.status, answer], [201, {
    channel: "prod",
    revision: 7,
    digest: await digestOf(envelope.payload),
  }]);
  const again = await server.post(PUBLISH, envelope, PUBLISHER);
  assert.deepEqual([again.status, await again.json()], [200, answer]);
  await server.publish({ revision: 8, prev: answer.digest });
  assert.equal((await server.post(PUBLISH, envelope, PUBLISHER)).status, 200);
  assert.equal(server.deps.reader.fleet().channels[0]?.head?.revision, 8);
  assert.deepEqual(server.logged, ["release_published", "release_published"]);
  await server.close();
});

Deno.test("publish refuses with the code of the step that refused", async (t) => {
  const server = await openTestServer();
  const good = await sign();
  const text = formatEnvelope(good);
  const stranger = await testSigner(55);
  const [signature] = good.signatures;
  assert.ok(signature);
  const other = await signEnvelope("checkin", good.payload, [await releaseSigner()]);
  const target = testRelease().targets[0] as unknown as Json;
  const cases: [string, Envelope | string, string][] = [
    ["not UTF-8", text.replace('"payload"', '"payl\u00ffad"'), "422 envelope_invalid"],
    ["not JSON", text.slice(1), "422 json_not_canonical"],
    ["cut short", text.slice(0, -1), "422 json_not_canonical"],
    ["with a duplicate key", text.replace("{", '{"payloadType":"x",'), "422 json_not_canonical"],
    ["with an unknown key", text.replace("{", '{"a":1,'), "422 envelope_invalid"],
    ["without signatures", formatEnvelope({ ...good, signatures: [] }), "422 envelope_invalid"],
    ["with 17 signatures", formatEnvelope({ ...good, signatures: Array(17).fill(signature) }), "422 envelope_invalid"],
    ["with URL-safe base64", text.replace('"sig":"', '"sig":"_'), "422 base64_invalid"],
    ["signed by a stranger", await sign({}, stranger), "422 signatures_insufficient"],
    [
      "with another payload",
      { ...good, payload: (await sign({ revision: 9 })).payload },
      "422 signatures_insufficient",
    ],
    ["signed as a check-in", other, "422 payload_type_unexpected"],
    [
      "signed as a check-in, called a release",
      { ...other, payloadType: good.payloadType },
      "422 signatures_insufficient",
    ],
    [
      "with blanks in its payload",
      await signEnvelope("release", encodeUtf8(" {}"), [await releaseSigner()]),
      "422 payload_not_canonical",
    ],
    ["with an unknown version", await signRaw({ v: 2 }), "422 payload_invalid"],
    ["with revision 0", await signRaw({ revision: 0 }), "422 payload_invalid"],
    ["without targets", await signRaw({ targets: [] }), "422 payload_invalid"],
    ["with one target twice", await signRaw({ targets: [target, target] }), "422 payload_invalid"],
    [
      "with a derivation",
      await signRaw({ targets: [{ ...target as object, storePath: `${testStorePath("a")}.drv` }] }),
      "422 payload_invalid",
    ],
    ["under another root", await sign({ root: 1 }), "422 root_unknown"],
    ["for another fleet", await sign({ fleet: "other" }), "422 fleet_mismatch"],
    ["for another channel", await sign({ channel: "beta" }), "422 channel_mismatch"],
    [
      "that has expired",
      await sign({ issued: "2025-01-01T00:00:00Z", expires: "2026-01-31T23:59:59Z" }),
      "422 release_expired",
    ],
    ["that expires now", await sign({ expires: "2026-02-01T00:00:00Z" }), "422 release_expired"],
  ];
  for (const [name, envelope, expected] of cases) {
    await t.step(name, async () => {
      assert.equal(await outcomeOf(await server.post(PUBLISH, envelope, PUBLISHER)), expected);
    });
  }
  await t.step("bytes that are no text", async () => {
    const headers = { "content-type": "application/vnd.nix-ota.envelope+json", ...PUBLISHER };
    const response = await server.request(PUBLISH, { method: "POST", headers, body: Uint8Array.of(0x7b, 0xff, 0x7d) });
    assert.equal(await outcomeOf(response), "422 encoding_invalid");
  });
  assert.deepEqual(server.deps.reader.fleet().channels, []);
  assert.deepEqual(server.rows("SELECT id FROM event"), []);
  await server.close();
});

Deno.test("publish refuses a revision that is not above the highest, and names it", async () => {
  const server = await openTestServer();
  const digest = await server.publish();
  for (const change of [{ revision: 6, prev: digest }, { revision: 7, notes: "other" }]) {
    const response = await server.post(PUBLISH, await sign(change), PUBLISHER);
    const { code, highest } = await response.json();
    assert.deepEqual([response.status, code, highest], [409, "revision_conflict", 7]);
  }
  await server.close();
});

Deno.test("publish refuses a release that does not follow the current one, and names it", async (t) => {
  const server = await openTestServer();
  const digest = await server.publish({ prev: `sha256:${"9".repeat(64)}` }); // The first one may follow anything.
  for (const prev of [null, `sha256:${"0".repeat(64)}`]) {
    await t.step(String(prev), async () => {
      const response = await server.post(PUBLISH, await sign({ revision: 8, prev }), PUBLISHER);
      const problem = await response.json();
      assert.deepEqual([response.status, problem.code], [409, "prev_mismatch"]);
      assert.deepEqual([problem.revision, problem.digest], [7, digest]);
    });
  }
  await server.publish({ revision: 100, prev: digest });
  await server.close();
});

Deno.test("publish lets one of two publishers win", async () => {
  const server = await openTestServer();
  const prev = await server.publish();
  const both = await Promise.all(["a", "b"].map(async (notes) => {
    return outcomeOf(await server.post(PUBLISH, await sign({ revision: 8, prev, notes }), PUBLISHER));
  }));
  assert.deepEqual(both.toSorted(), ["201", "409 revision_conflict"]);
  await server.close();
});

Deno.test("publish asks for as many signatures as are configured, each key counted once", async (t) => {
  const [a, b, c] = [await testSigner(1), await testSigner(2), await testSigner(3)];
  const keys = { keys: [a.publicKey, b.publicKey], threshold: 2 };
  const cases: [string, Signer[], string][] = [
    ["one", [a], "422 signatures_insufficient"],
    ["one twice", [a, a], "422 signatures_insufficient"],
    ["one and a stranger", [a, c], "422 signatures_insufficient"],
    ["both and a stranger", [c, b, a], "201"],
  ];
  for (const [name, signers, expected] of cases) {
    await t.step(name, async () => {
      const server = await openTestServer({ keys });
      assert.equal(await outcomeOf(await server.post(PUBLISH, await sign({}, ...signers), PUBLISHER)), expected);
      assert.equal(
        server.deps.reader.releases({ channel: null, before: null, limit: 9 }).releases[0]?.signers.length,
        expected === "201" ? 2 : undefined,
      );
      await server.close();
    });
  }
});

Deno.test("publish pins the keys of the first release where none are configured", async (t) => {
  const server = await openTestServer({ keys: null });
  const [a, b] = [await testSigner(1), await testSigner(2)];
  const sent = (...signers: Signer[]): Record<string, string> => ({
    ...PUBLISHER,
    [SIGNER_KEYS_HEADER]: formatSignerKeys(signers.map(({ publicKey }) => publicKey)),
  });
  const cases: [string, Envelope, Record<string, string>, string][] = [
    ["no key sent", await sign({}, a), PUBLISHER, "422 signatures_insufficient"],
    ["another key sent", await sign({}, a), sent(b), "422 signatures_insufficient"],
    ["rubbish sent", await sign({}, a), { ...PUBLISHER, [SIGNER_KEYS_HEADER]: "AAAA" }, "400 request_invalid"],
    ["17 keys sent", await sign({}, a), sent(...Array(17).fill(a)), "400 request_invalid"],
    ["its key sent, and one that did not sign", await sign({}, a), sent(b, a), "201"],
    ["the same again without a key", await sign({}, a), PUBLISHER, "200"],
    ["another key's release", await sign({ revision: 8 }, b), sent(b), "422 signatures_insufficient"],
    [
      "another key's release on another channel",
      await sign({ channel: "prod" }, b),
      sent(b),
      "422 signatures_insufficient",
    ],
  ];
  for (const [name, envelope, headers, expected] of cases) {
    await t.step(name, async () => {
      assert.equal(await outcomeOf(await server.post(PUBLISH, envelope, headers)), expected);
    });
  }
  assert.deepEqual(server.logged, ["keys_pinned", "release_published"]);
  assert.equal(server.deps.trustKeys.known()?.keys.length, 1);
  await server.close();
});

Deno.test("publish pins one of two first releases that race", async () => {
  const server = await openTestServer({ keys: null });
  const outcomes = await Promise.all([1, 2].map(async (seed) => {
    const signer = await testSigner(seed);
    const headers = { ...PUBLISHER, [SIGNER_KEYS_HEADER]: formatSignerKeys([signer.publicKey]) };
    const channel = `channel-${seed}`;
    return outcomeOf(await server.post(`/channels/${channel}/publish`, await sign({ channel }, signer), headers));
  }));
  assert.deepEqual(outcomes.toSorted(), ["201", "422 signatures_insufficient"]);
  await server.close();
});

const PATHS = [
  { storePath: testStorePath("a"), narHash: TEST_NAR_HASH, narSize: 10 },
  { storePath: testStorePath("b"), narHash: TEST_NAR_HASH, narSize: 20 },
];
const LISTING_URL = "/channels/prod/releases/7/closures/x86_64-linux/default";

async function publishWithListing(server: TestServer, listing: string): Promise<void> {
  const digest = await digestOf(encodeUtf8(listing));
  const [target] = testRelease().targets;
  assert.ok(target);
  await server.publish({ targets: [{ ...target, closure: { paths: 2, narSize: 30, digest } }] });
}

function put(
  server: TestServer,
  body: string,
  change: { url?: string; headers?: Record<string, string> } = {},
): Promise<Response> {
  const headers = { "content-type": "text/plain", ...PUBLISHER, ...change.headers };
  return server.request(change.url ?? LISTING_URL, { method: "PUT", headers, body });
}

Deno.test("PUT closures keeps the listing that was signed, and only that", async (t) => {
  const server = await openTestServer();
  const listing = formatClosureListing(PATHS);
  await publishWithListing(server, listing);
  const cases: [string, Promise<Response>, string][] = [
    ["another text", put(server, listing.slice(0, -1)), "422 closure_mismatch"],
    ["nothing", put(server, ""), "422 closure_mismatch"],
    ["no token", put(server, listing, { headers: { authorization: "" } }), "401 unauthorized"],
    [
      "another type",
      put(server, listing, { headers: { "content-type": "application/json" } }),
      "415 unsupported_media_type",
    ],
    ["another revision", put(server, listing, { url: LISTING_URL.replace("/7/", "/8/") }), "404 not_found"],
    ["another system", put(server, listing, { url: LISTING_URL.replace("x86_64", "aarch64") }), "404 not_found"],
    ["no system at all", put(server, listing, { url: LISTING_URL.replace("x86_64-linux", "..;") }), "404 not_found"],
  ];
  for (const [name, response, expected] of cases) {
    await t.step(name, async () => assert.equal(await outcomeOf(await response), expected));
  }
  assert.equal(await outcomeOf(await server.request(LISTING_URL)), "404 not_found");
  assert.equal(await outcomeOf(await put(server, listing)), "201");
  assert.equal(
    await outcomeOf(await put(server, listing, { headers: { "content-type": "text/plain; charset=utf-8" } })),
    "204",
  );
  const response = await server.request(LISTING_URL);
  assert.equal(await response.text(), listing);
  assert.match(response.headers.get("cache-control") ?? "", /immutable/);
  assert.equal(
    (await server.request(LISTING_URL, { headers: { "if-none-match": response.headers.get("etag") ?? "" } })).status,
    304,
  );
  await server.close();
});

Deno.test("PUT closures refuses a signed text that is no listing", async () => {
  const server = await openTestServer();
  await publishWithListing(server, "<script>\n");
  assert.equal(await outcomeOf(await put(server, "<script>\n")), "400 request_invalid");
  await server.close();
});
