/** What holds for every route: methods, tokens, types, sizes, times, and that nothing a client sends is our fault. */
import assert from "node:assert/strict";
import { ENVELOPE_CONTENT_TYPE, formatEnvelope } from "@nix-ota/common";
import fc from "fast-check";
import { testDevice } from "./testing/test_device.ts";
import { openTestServer, outcomeOf, PUBLISH_TOKEN, PUBLISHER } from "./testing/test_server.ts";

type Access = "open" | "read" | "write";

interface Route {
  readonly method: "GET" | "POST" | "PUT";
  readonly path: string;
  readonly access: Access;
  /** Of the body it takes. */
  readonly type?: string;
  readonly maxBytes?: number;
  /** Methods that the path answers. */
  readonly allow: string;
}

const LISTING = "/channels/prod/releases/7/closures/x86_64-linux/default";
const JSON_TYPE = "application/json";
const ROUTES: readonly Route[] = [
  { method: "GET", path: "/healthz", access: "open", allow: "GET, HEAD" },
  { method: "GET", path: "/readyz", access: "open", allow: "GET, HEAD" },
  { method: "POST", path: "/enroll", access: "open", type: ENVELOPE_CONTENT_TYPE, maxBytes: 8192, allow: "POST" },
  { method: "POST", path: "/checkin", access: "open", type: ENVELOPE_CONTENT_TYPE, maxBytes: 16_384, allow: "POST" },
  {
    method: "POST",
    path: "/checkin/log",
    access: "open",
    type: ENVELOPE_CONTENT_TYPE,
    maxBytes: 98_304,
    allow: "POST",
  },
  { method: "GET", path: "/channels/prod/current", access: "open", allow: "GET, HEAD" },
  { method: "GET", path: "/channels/prod/releases/7", access: "open", allow: "GET, HEAD" },
  { method: "GET", path: LISTING, access: "open", allow: "GET, HEAD, PUT" },
  { method: "PUT", path: LISTING, access: "write", type: "text/plain", maxBytes: 8_388_608, allow: "GET, HEAD, PUT" },
  {
    method: "POST",
    path: "/channels/prod/publish",
    access: "write",
    type: ENVELOPE_CONTENT_TYPE,
    maxBytes: 1_048_576,
    allow: "POST",
  },
  { method: "GET", path: "/api/v1/fleet", access: "read", allow: "GET, HEAD" },
  { method: "GET", path: "/api/v1/devices", access: "read", allow: "GET, HEAD" },
  { method: "GET", path: "/api/v1/devices/fridge-1", access: "read", allow: "GET, HEAD" },
  { method: "GET", path: "/api/v1/releases", access: "read", allow: "GET, HEAD" },
  { method: "GET", path: "/api/v1/releases/prod/7/progress", access: "read", allow: "GET, HEAD" },
  { method: "GET", path: "/api/v1/events", access: "read", allow: "GET, HEAD" },
  {
    method: "POST",
    path: "/api/v1/devices/fridge-1/accept",
    access: "write",
    type: JSON_TYPE,
    maxBytes: 65_536,
    allow: "POST",
  },
  {
    method: "POST",
    path: "/api/v1/devices/fridge-1/reject",
    access: "write",
    type: JSON_TYPE,
    maxBytes: 65_536,
    allow: "POST",
  },
];
const STRANGER = "192.0.2.7";
const name = ({ method, path }: Route): string => `${method} ${path}`;

/** A server with one device and one release, so that every route has something to answer. */
async function openFullServer(): ReturnType<typeof openTestServer> {
  const server = await openTestServer();
  await server.publish();
  await server.post("/enroll", await (await testDevice("fridge-1")).enrol());
  return server;
}

Deno.test("every route answers other methods with 405 and the ones it takes", async (t) => {
  const server = await openFullServer();
  for (const route of ROUTES) {
    await t.step(name(route), async () => {
      for (const method of ["DELETE", "PATCH", "OPTIONS", "GET", "HEAD", "POST", "PUT"]) {
        if (route.allow.split(", ").includes(method)) continue;
        const response = await server.request(route.path, { method });
        assert.equal(response.headers.get("allow"), route.allow);
        if (method === "HEAD") assert.equal(response.status, 405);
        else assert.equal(await outcomeOf(response), "405 method_not_allowed");
      }
    });
  }
  await server.close();
});

Deno.test("every route that answers GET answers HEAD with the same headers and no body", async (t) => {
  const server = await openFullServer();
  for (const route of ROUTES.filter(({ method, path }) => method === "GET" && path !== LISTING)) {
    await t.step(name(route), async () => {
      const [get, head] = await Promise.all(["GET", "HEAD"].map((method) => server.request(route.path, { method })));
      assert.ok(get !== undefined && head !== undefined);
      await get.body?.cancel();
      assert.deepEqual([head.status, [...head.headers]], [get.status, [...get.headers]]);
      assert.equal((await head.arrayBuffer()).byteLength, 0);
    });
  }
  await server.close();
});

Deno.test("every route asks for the access it needs", async (t) => {
  const server = await openFullServer();
  const basic = `Basic ${btoa(`any:${PUBLISH_TOKEN}`)}`;
  // What is sent, from where, and what it may then do.
  const callers: [string, Record<string, string>, string, readonly Access[]][] = [
    ["a stranger", {}, STRANGER, ["open"]],
    ["a stranger with a wrong token", { authorization: `Bearer ${PUBLISH_TOKEN}x` }, STRANGER, ["open"]],
    ["a stranger with a wrong scheme", { authorization: PUBLISH_TOKEN }, STRANGER, ["open"]],
    ["a stranger with a broken password", { authorization: "Basic %%%" }, STRANGER, ["open"]],
    ["the publisher", PUBLISHER, STRANGER, ["open", "read", "write"]],
    ["the publisher, in capitals", { authorization: `BEARER ${PUBLISH_TOKEN}` }, STRANGER, ["open", "read", "write"]],
    ["a browser with the password", { authorization: basic }, STRANGER, ["open", "read"]],
    ["someone on this machine", {}, "127.0.0.1", ["open", "read"]],
    ["someone on this machine by IPv6", {}, "::1", ["open", "read"]],
    ["someone on this machine by a mapped address", {}, "::ffff:127.0.0.1", ["open", "read"]],
    ["a proxy on this machine", { "x-forwarded-for": STRANGER }, "127.0.0.1", ["open"]],
    ["a proxy that says less", { via: "1.1 proxy" }, "127.0.0.1", ["open"]],
    ["a proxy that says it its own way", { "x-forwarded-ssl": "on" }, "127.0.0.1", ["open"]],
    ["a page of another site whose name points here", { host: "evil.example" }, "127.0.0.1", ["open"]],
    ["an address that looks alike", {}, "127.0.0.1.evil.example", ["open"]],
  ];
  for (const [caller, headers, address, may] of callers) {
    await t.step(caller, async () => {
      for (const route of ROUTES) {
        const type = route.type === undefined ? {} : { "content-type": route.type };
        const body = route.type === undefined ? null : "{}";
        const init = { method: route.method, headers: { ...type, ...headers }, body };
        const outcome = await outcomeOf(await server.request(route.path, init, address));
        assert.equal(outcome !== "401 unauthorized", may.includes(route.access), `${name(route)}: ${outcome}`);
      }
    });
  }
  await server.close();
});

Deno.test("behind a proxy being on this machine opens nothing", async () => {
  const server = await openTestServer({ behindProxy: true });
  assert.equal(await outcomeOf(await server.request("/api/v1/fleet")), "401 unauthorized");
  assert.equal(await outcomeOf(await server.request("/api/v1/fleet", { headers: PUBLISHER })), "200");
  await server.close();
});

Deno.test("every route that takes a body refuses other types, encodings, and too many bytes", async (t) => {
  const server = await openFullServer();
  for (const route of ROUTES.filter(({ type }) => type !== undefined)) {
    const { method, path, type = "", maxBytes = 0 } = route;
    const send = async (headers: Record<string, string>, body: BodyInit | null): Promise<string> =>
      await outcomeOf(await server.request(path, { method, headers: { ...PUBLISHER, ...headers }, body }));
    await t.step(name(route), async () => {
      for (const wrong of ["application/xml", `${type}x`, "", "multipart/form-data"]) {
        assert.equal(await send({ "content-type": wrong }, new Uint8Array(2)), "415 unsupported_media_type");
      }
      const gzip = { "content-type": type, "content-encoding": "gzip" };
      assert.equal(await send(gzip, new Uint8Array(2)), "415 unsupported_media_type");
      // A length that is announced, and one that is not.
      const tooLong = new Uint8Array(maxBytes + 1);
      assert.equal(
        await send({ "content-type": type, "content-length": String(maxBytes + 1) }, "x"),
        "413 body_too_large",
      );
      assert.equal(await send({ "content-type": type }, new Blob([tooLong]).stream()), "413 body_too_large");
      assert.notEqual(await send({ "content-type": type.toUpperCase() }, "x"), "415 unsupported_media_type");
    });
  }
  await server.close();
});

Deno.test("paths that do not exist are answered as problems", async (t) => {
  const server = await openFullServer();
  const paths = [
    "/enroll/",
    "/checkin/x",
    "/channels",
    "/channels/",
    "/channels/prod",
    "/channels/prod/x",
    "/api",
    "/api/v1",
    "/api/v2/fleet",
    "/api/v1/devices/Fridge!",
    "/api/v1/devices/nobody",
    "/api/v1/releases/prod/9/progress",
    "/nothing",
    "/%00",
    "//",
  ];
  for (const path of paths) {
    await t.step(path, async () => assert.equal(await outcomeOf(await server.request(path)), "404 not_found"));
  }
  await server.close();
});

Deno.test("a body that stops half-way is refused", async () => {
  const server = await openFullServer();
  const broken = new ReadableStream({
    start: (controller) => {
      controller.enqueue(new Uint8Array(10));
      controller.error(new Error("connection reset"));
    },
  });
  const init = { method: "POST", headers: { "content-type": ENVELOPE_CONTENT_TYPE }, body: broken };
  assert.equal(await outcomeOf(await server.request("/checkin", init)), "400 request_invalid");
  await server.close();
});

Deno.test("an error of the program is told as such only, and logged", async () => {
  const server = await openTestServer();
  server.deps.store.submit = () => Promise.reject(new Error("secret detail"));
  const device = await testDevice("fridge-1");
  const response = await server.post("/enroll", await device.enrol());
  const text = await response.clone().text();
  assert.equal(await outcomeOf(response), "500 internal");
  assert.doesNotMatch(text, /secret/);
  assert.deepEqual(server.logged, ["request_failed"]);
  await server.close();
});

Deno.test("no body makes the server fail", async () => {
  const server = await openFullServer();
  const device = await testDevice("fridge-1");
  const seeds = [await device.enrol(), await device.checkin(), await device.log()].map(formatEnvelope);
  const bodies = ROUTES.filter(({ type }) => type !== undefined);
  const mutated = fc.tuple(fc.constantFrom(...seeds), fc.nat(), fc.nat({ max: 20 }), fc.string({ maxLength: 20 }))
    .map(([seed, at, cut, put]) => seed.slice(0, at % seed.length) + put + seed.slice(at % seed.length + cut));
  const body = fc.oneof(fc.uint8Array({ maxLength: 300 }), fc.json(), fc.string(), mutated);
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...bodies), body, async ({ method, path, type = "" }, sent) => {
      const headers = { "content-type": type, ...PUBLISHER };
      const bytes = typeof sent === "string" ? sent : new Uint8Array(sent);
      const response = await server.request(path, { method, headers, body: bytes });
      assert.ok(response.status < 500, `${path} answered ${response.status}`);
      await outcomeOf(response);
    }),
    { numRuns: 1000 },
  );
  assert.ok(!server.logged.includes("request_failed"));
  await server.close();
});

Deno.test("no path, query or header makes the server fail", async () => {
  const server = await openFullServer();
  const header = fc.stringMatching(/^[\x21-\x7e]{1,40}$/);
  const part = fc.oneof(
    fc.constantFrom("channels", "prod", "current", "releases", "7", "api", "v1", "devices", "closures"),
    fc.string(),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(part, { maxLength: 7 }), fc.string(), header, async (parts, query, value) => {
      const path = `/${parts.map(encodeURIComponent).join("/")}?limit=${encodeURIComponent(query)}&after=${
        encodeURIComponent(query)
      }`;
      const headers = {
        "if-none-match": value,
        "authorization": `Basic ${value}`,
        "last-event-id": value,
        "range": value,
      };
      const response = await server.request(path, { headers });
      assert.ok(response.status < 500, `${path} answered ${response.status}`);
      await response.body?.cancel();
    }),
    { numRuns: 1000 },
  );
  await server.close();
});
