import assert from "node:assert/strict";
import { type Api, readCurrent } from "./api.ts";
import { HttpError, type HttpFailure, reasonOf, send } from "./http.ts";
import { mapLimited, retryDelayMs, retrying, sleep } from "./retry.ts";

/** Runs `use` against a server that answers every request with `answer`. */
async function withServer(
  answer: (request: Request) => Response | Promise<Response>,
  use: (url: string) => Promise<void>,
): Promise<void> {
  const stop = new AbortController();
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, signal: stop.signal, onListen: () => undefined }, answer);
  try {
    await use(`http://127.0.0.1:${server.addr.port}`);
  } finally {
    stop.abort();
    await server.finished;
  }
}

const LIMITS = { maxBytes: 100, timeoutMs: 300 };

async function failure(promise: Promise<unknown>): Promise<HttpFailure | null> {
  try {
    await promise;
    return null;
  } catch (error) {
    assert.ok(error instanceof HttpError, String(error));
    return error.kind;
  }
}

/** A body that sends one byte at a time, for ever. */
function drip(everyMs: number): ReadableStream<Uint8Array> {
  let timer: ReturnType<typeof setInterval> | undefined;
  return new ReadableStream({
    start: (controller) => {
      timer = setInterval(() => controller.enqueue(Uint8Array.of(0x20)), everyMs);
    },
    cancel: () => clearInterval(timer),
  });
}

Deno.test("send() has a limit on time and size, whatever the server does", async (t) => {
  await t.step("no answer", () =>
    withServer(
      (request) => new Promise((resolve) => request.signal.addEventListener("abort", () => resolve(new Response()))),
      async (url) => assert.equal(await failure(send({ url, ...LIMITS })), "timeout"),
    ));
  await t.step(
    "one byte at a time",
    () =>
      withServer(
        () => new Response(drip(20)),
        async (url) => assert.equal(await failure(send({ url, ...LIMITS })), "timeout"),
      ),
  );
  await t.step(
    "too much",
    () =>
      withServer(
        () => new Response("x".repeat(101)),
        async (url) => assert.equal(await failure(send({ url, ...LIMITS })), "too_large"),
      ),
  );
  await t.step("too much once unpacked", async () => {
    const packed = new Response(new Blob(["x".repeat(100_000)]).stream().pipeThrough(new CompressionStream("gzip")));
    const bytes = await packed.bytes();
    const answer = (): Response => new Response(bytes, { headers: { "content-encoding": "gzip" } });
    await withServer(
      answer,
      async (url) => assert.equal(await failure(send({ url, maxBytes: 10_000, timeoutMs: 2000 })), "too_large"),
    );
  });
  await t.step(
    "exactly enough",
    () =>
      withServer(
        () => new Response("x".repeat(100)),
        async (url) => assert.equal((await send({ url, ...LIMITS })).body.length, 100),
      ),
  );
  await t.step(
    "a redirect is an answer",
    () =>
      withServer(
        () => Response.redirect("http://127.0.0.1:1/"),
        async (url) => assert.equal((await send({ url, ...LIMITS })).status, 302),
      ),
  );
  await t.step("the caller's signal", () =>
    withServer(() => new Response(drip(20)), async (url) => {
      const stop = new AbortController();
      setTimeout(() => stop.abort(), 50);
      assert.equal(await failure(send({ url, ...LIMITS, signal: stop.signal })), "aborted");
    }));
});

Deno.test("a server that is too slow ends a command in time", () =>
  withServer(() => new Response(drip(20)), async (url) => {
    const api: Api = {
      server: url,
      token: null,
      signal: new AbortController().signal,
      random: () => 0,
      now: Date.now,
      timeoutMs: 200,
    };
    await assert.rejects(readCurrent(api, "prod"), /does not answer, no complete answer within 0\.2 s/);
  }));

Deno.test("reasonOf() says in few words what the runtime says in many", () => {
  const rows: [text: string, expected: string][] = [
    [
      "error sending request for url (http://h:1/): client error (Connect): tcp connect error: Connection refused (os error 111)",
      "connection refused",
    ],
    ["client error (Connect): dns error: failed to lookup address information", "the host name is not known"],
    ["invalid peer certificate: UnknownIssuer", "its TLS certificate is not accepted"],
    ["connection closed before message completed", "the answer broke off"],
    ["something new at (https://user:pw@h/) \u001b[2J", "something new at"],
  ];
  for (const [text, expected] of rows) assert.equal(reasonOf(new TypeError(text)), expected);
});

Deno.test("retryDelayMs() grows, varies by half, obeys and is capped", () => {
  const policy = { attempts: 9, baseMs: 100, maxMs: 1000, random: () => 0 };
  assert.deepEqual([1, 2, 3, 4, 5, 6].map((attempt) => retryDelayMs(attempt, 0, policy)), [
    50,
    100,
    200,
    400,
    800,
    1000,
  ]);
  assert.equal(retryDelayMs(1, 0, { ...policy, random: () => 1 }), 100);
  assert.equal(retryDelayMs(1, 700, policy), 700);
  assert.equal(retryDelayMs(1, 99_999, policy), 1000);
});

Deno.test("retrying() tries as often as it was told, and the last outcome counts", async () => {
  const policy = { attempts: 3, baseMs: 0, maxMs: 0, random: () => 0 };
  let tries = 0;
  assert.equal(await retrying<string>(policy, () => Promise.resolve({ again: `try ${++tries}` })), "try 3");
  await assert.rejects(retrying(policy, () => Promise.resolve({ again: new Error("no") })), /no/);
  assert.equal(await retrying(policy, (attempt) => Promise.resolve(attempt < 2 ? { again: 0 } : { done: attempt })), 2);
});

Deno.test("sleep() ends early when it is aborted", async () => {
  const stop = new AbortController();
  const startMs = performance.now();
  setTimeout(() => stop.abort(), 20);
  await sleep(10_000, stop.signal);
  assert.ok(performance.now() - startMs < 5000);
});

Deno.test("mapLimited() keeps order and never runs more than its limit at once", async () => {
  let [running, most] = [0, 0];
  const results = await mapLimited(Array.from({ length: 50 }, (_, at) => at), 7, async (item) => {
    running += 1;
    most = Math.max(most, running);
    await new Promise((resolve) => setTimeout(resolve, 1));
    running -= 1;
    return item * 2;
  });
  assert.deepEqual(results, Array.from({ length: 50 }, (_, at) => at * 2));
  assert.equal(most, 7);
});
