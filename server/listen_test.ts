/** The guarding listener on real sockets: slow, greedy and broken clients go, honest ones notice nothing. */
import assert from "node:assert/strict";
import { readBody } from "./body.ts";
import { type GuardLimits, listenBehindProxy, type Listener, listenGuarded } from "./listen.ts";
import { answerError } from "./errors.ts";
import { Hono } from "hono";

const LIMITS: GuardLimits = { connectionsMax: 50, connectionsPerAddressMax: 40, receiveMs: 400, idleMs: 600 };
/** Above receiveMs and one look of the guard, and far below the patience of a slow client. */
const SOON_MS = 2000;

function testApp(): Hono {
  const app = new Hono();
  app.get("/", (c) => c.text("hello"));
  app.get("/slow", async (c) => {
    await new Promise((resolve) => setTimeout(resolve, 1200)); // Longer than a request may take to arrive.
    return c.text("done");
  });
  app.post("/", async (c) => {
    const bytes = await readBody(c.req.raw, { contentType: "text/plain", maxBytes: 1000, receiveMs: 400 });
    return c.text(String(bytes.length));
  });
  app.onError((error, c) => answerError(error, c, () => {}));
  return app;
}

async function withListener(work: (listener: Listener) => Promise<void>, limits = LIMITS): Promise<void> {
  const listener = await listenGuarded({ hostname: "127.0.0.1", port: 0 }, testApp().fetch, limits);
  try {
    await work(listener);
  } finally {
    await listener.stop(100);
  }
}

interface Answer {
  readonly text: string;
  /** Milliseconds until the server closed the connection; null where it had not after {@link SOON_MS} and more. */
  readonly closedMs: number | null;
}

/** Sends text piece by piece and reads until the server closes. */
async function talk(
  { port }: Listener,
  pieces: readonly string[],
  { everyMs = 100, patienceMs = SOON_MS }: { everyMs?: number; patienceMs?: number } = {},
): Promise<Answer> {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const startedMs = performance.now();
  let gaveUp = false;
  const timer = setTimeout(() => {
    gaveUp = true;
    connection.close();
  }, patienceMs);
  const [text] = await Promise.all([readToEnd(connection), sendPieces(connection, pieces, everyMs)]);
  clearTimeout(timer);
  if (!gaveUp) connection.close();
  return { text, closedMs: gaveUp ? null : performance.now() - startedMs };
}

async function readToEnd(connection: Deno.Conn): Promise<string> {
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(4096);
  let text = "";
  try {
    for (let size = await connection.read(buffer); size !== null; size = await connection.read(buffer)) {
      text += decoder.decode(buffer.subarray(0, size));
    }
  } catch {
    // Reset by the server, or closed by us.
  }
  return text;
}

async function sendPieces(connection: Deno.Conn, pieces: readonly string[], everyMs: number): Promise<void> {
  try {
    for (const piece of pieces) {
      await connection.write(new TextEncoder().encode(piece));
      await new Promise((resolve) => setTimeout(resolve, everyMs));
    }
  } catch {
    // Closed by the server.
  }
}

const POST_HEAD = "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: text/plain\r\ncontent-length: 900\r\n\r\n";

Deno.test("a client that sends too slowly is answered 408 and closed", async (t) => {
  const drops = (text: string): string[] => [...text];
  const cases: [string, readonly string[], RegExp][] = [
    ["half a head", ["GET / HTTP/1.1\r\nhost: localhost\r\n"], /^HTTP\/1\.1 408 /],
    ["a head byte by byte", drops(`GET / HTTP/1.1\r\nhost: localhost\r\nx: ${"a".repeat(50)}`), /^HTTP\/1\.1 408 /],
    ["no body", [POST_HEAD], /^HTTP\/1\.1 408 /],
    ["a body byte by byte", [POST_HEAD, ...drops("a".repeat(50))], /^HTTP\/1\.1 408 /],
  ];
  await withListener(async (listener) => {
    await Promise.all(
      cases.map(([name, pieces, expected]) =>
        t.step({
          name,
          sanitizeOps: false,
          sanitizeResources: false,
          sanitizeExit: false,
          fn: async () => {
            const { text, closedMs } = await talk(listener, pieces);
            assert.match(text, expected);
            assert.match(text, /application\/problem\+json/);
            assert.match(text, /"code":"request_timeout"/);
            assert.ok(closedMs !== null && closedMs >= LIMITS.receiveMs, `closed after ${closedMs} ms`);
          },
        })
      ),
    );
  });
});

Deno.test("a client that says nothing is closed", async (t) => {
  await withListener(async (listener) => {
    await Promise.all([
      ["never spoke", [], /^(?:$|HTTP\/1\.1 408 )/] as const,
      ["rests after its request", ["GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"], /^HTTP\/1\.1 200 .*hello$/s] as const,
    ].map(([name, pieces, expected]) =>
      t.step({
        name,
        sanitizeOps: false,
        sanitizeResources: false,
        sanitizeExit: false,
        fn: async () => {
          const { text, closedMs } = await talk(listener, pieces, { patienceMs: 4000 });
          assert.match(text, expected);
          assert.ok(closedMs !== null, "was still open");
        },
      })
    ));
  });
});

Deno.test("what is no HTTP, or too large, is refused at once", async (t) => {
  const get = (more: string): string => `GET / HTTP/1.1\r\nhost: localhost\r\n${more}\r\n\r\n`;
  const cases: [string, string, RegExp][] = [
    ["a head over 16 KiB", get(`x: ${"a".repeat(17_000)}`), /^HTTP\/1\.1 431 .*"code":"headers_too_large"/s],
    ["a request line over 16 KiB", `GET /${"a".repeat(17_000)} HTTP/1.1\r\n\r\n`, /^HTTP\/1\.1 431 /],
    ["many small headers", get(Array.from({ length: 3000 }, (_, at) => `x${at}: a`).join("\r\n")), /^HTTP\/1\.1 431 /],
    ["garbage", "\u0000\u0001\u0002\r\n\r\n", /^HTTP\/1\.1 400 .*"code":"request_invalid"/s],
    ["TLS", "\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\r\n", /^HTTP\/1\.1 400 /],
    [
      "two lengths",
      POST_HEAD.replace("\r\n\r\n", "\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
      /^HTTP\/1\.1 400 /,
    ],
    [
      "a body larger than it may be",
      `${POST_HEAD.replace("900", "5000000")}${"a".repeat(2000)}`,
      /^HTTP\/1\.1 413 .*"code":"body_too_large"/s,
    ],
    [
      "a chunked body larger than it may be",
      `${POST_HEAD.replace("content-length: 900", "transfer-encoding: chunked")}800\r\n${"a".repeat(2048)}\r\n`,
      /^HTTP\/1\.1 413 /,
    ],
  ];
  await withListener(async (listener) => {
    for (const [name, request, expected] of cases) {
      await t.step(name, async () => {
        const { text, closedMs } = await talk(listener, [request]);
        assert.match(text, expected);
        assert.ok(closedMs !== null, "was still open");
      });
    }
  });
});

Deno.test("an answer may take longer than a request, and honest clients are served among slow ones", async () => {
  await withListener(async (listener) => {
    const url = `http://127.0.0.1:${listener.port}`;
    const slow = Array.from({ length: 30 }, () => talk(listener, ["GET / HT", "TP/1.1\r\n"]));
    const patient = fetch(`${url}/slow`).then((response) => response.text());
    for (let time = 0; time < 20; time += 1) {
      const startedMs = performance.now();
      assert.equal(await (await fetch(url)).text(), "hello");
      assert.ok(performance.now() - startedMs < 500);
    }
    assert.equal(await patient, "done");
    for (const { closedMs } of await Promise.all(slow)) assert.ok(closedMs !== null);
  });
});

Deno.test("connections beyond the limit of one address are closed, and others served when some end", async () => {
  await withListener(async (listener) => {
    const request = "GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    const idle = Array.from({ length: 3 }, () => talk(listener, [], { patienceMs: 3000 }));
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal((await talk(listener, [request])).text, "");
    await Promise.all(idle);
    assert.match((await talk(listener, [request])).text, /hello$/);
  }, { ...LIMITS, connectionsPerAddressMax: 3 });
});

Deno.test("stop() waits for answers under way, and cuts them when its patience ends", async () => {
  const listener = await listenGuarded({ hostname: "127.0.0.1", port: 0 }, testApp().fetch, LIMITS);
  const url = `http://127.0.0.1:${listener.port}`;
  const patient = fetch(`${url}/slow`).then((response) => response.text());
  await new Promise((resolve) => setTimeout(resolve, 50));
  await listener.stop(3000);
  assert.equal(await patient, "done");
  await assert.rejects(fetch(url));

  const other = await listenGuarded({ hostname: "127.0.0.1", port: 0 }, testApp().fetch, LIMITS);
  const cut = assert.rejects(fetch(`http://127.0.0.1:${other.port}/slow`));
  await new Promise((resolve) => setTimeout(resolve, 50));
  const startedMs = performance.now();
  await other.stop(50);
  assert.ok(performance.now() - startedMs < 1000);
  await cut;
});

Deno.test("an address that cannot be had is named", async () => {
  const listener = await listenGuarded({ hostname: "127.0.0.1", port: 0 }, testApp().fetch, LIMITS);
  const { port } = listener;
  const expected = new RegExp(`^Cannot listen on 127\\.0\\.0\\.1:${port}: another program listens there`);
  await assert.rejects(listenGuarded({ hostname: "127.0.0.1", port }, testApp().fetch, LIMITS), { message: expected });
  assert.throws(() => listenBehindProxy({ hostname: "127.0.0.1", port }, testApp().fetch), { message: expected });
  await listener.stop(10);
  await assert.rejects(
    listenGuarded({ hostname: "192.0.2.1", port: 0 }, testApp().fetch, LIMITS),
    /Cannot listen on 192\.0\.2\.1:0/,
  );
});

Deno.test("behind a proxy the address is the one that the proxy saw", async () => {
  const seen: (string | undefined)[] = [];
  const listener = listenBehindProxy({ hostname: "127.0.0.1", port: 0 }, (_request, { clientAddress }) => {
    seen.push(clientAddress);
    return new Response("hello");
  });
  const url = `http://127.0.0.1:${listener.port}`;
  await (await fetch(url)).text();
  await (await fetch(url, { headers: { "x-forwarded-for": "203.0.113.9, 192.0.2.5" } })).text();
  assert.deepEqual(seen, ["127.0.0.1", "192.0.2.5"]);
  await listener.stop(100);
});
