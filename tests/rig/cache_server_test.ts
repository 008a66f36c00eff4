import assert from "node:assert/strict";
import { type Fault, faultyBody, rangeStart, ruleHits } from "./cache_faults.ts";
import { type CacheServer, startCacheServer } from "./cache_server.ts";

const NARINFO = `StorePath: /nix/store/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-app
URL: nar/1b.nar.zst
FileHash: sha256:1abcdef
NarHash: sha256:1bcdefg
NarSize: 1000
Sig: cache-1:abcdefghijklmnop==
`;
const NAR_BYTES = 300_000;

/** A cache with one path, whose nar counts up. */
async function withCache(test: (cache: CacheServer) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    await Deno.mkdir(`${dir}/nar`);
    await Deno.writeTextFile(`${dir}/a.narinfo`, NARINFO);
    await Deno.writeFile(`${dir}/nar/1b.nar.zst`, Uint8Array.from({ length: NAR_BYTES }, (_, index) => index));
    await using cache = startCacheServer({ dir });
    await test(cache);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** Bytes that arrive until the body ends, breaks or stalls. */
async function receivedBytes(url: string, signal?: AbortSignal): Promise<{ bytes: number; isWhole: boolean }> {
  const response = await fetch(url, signal === undefined ? {} : { signal });
  let bytes = 0;
  try {
    for await (const chunk of response.body ?? []) bytes += chunk.length;
    return { bytes, isWhole: true };
  } catch {
    return { bytes, isWhole: false };
  }
}

Deno.test("a well cache serves files, ranges and 404", async () => {
  await withCache(async (cache) => {
    assert.equal(await (await fetch(`${cache.url}/a.narinfo`)).text(), NARINFO);
    const part = await fetch(`${cache.url}/nar/1b.nar.zst`, { headers: { range: "bytes=299998-" } });
    assert.deepEqual([part.status, part.headers.get("content-range")], [206, "bytes 299998-299999/300000"]);
    assert.deepEqual([...await part.bytes()], [299998 % 256, 299999 % 256]);
    const missing = await fetch(`${cache.url}/b.narinfo`);
    await missing.body?.cancel();
    assert.equal(missing.status, 404);
    const head = await fetch(`${cache.url}/a.narinfo`, { method: "HEAD" });
    assert.equal(head.headers.get("content-length"), String(NARINFO.length));
    assert.deepEqual(cache.requests.map(({ method, status }) => [method, status]), [
      ["GET", 200],
      ["GET", 206],
      ["GET", 404],
      ["HEAD", 200],
    ]);
  });
});

Deno.test("a rule hits as often as it says, and only what it names", async () => {
  await withCache(async (cache) => {
    cache.setFault({
      on: "narinfo",
      fault: { kind: "status", status: 503, headers: { "retry-after": "7" } },
      times: 2,
    });
    const statuses: number[] = [];
    for (const path of ["a.narinfo", "nar/1b.nar.zst", "a.narinfo", "a.narinfo"]) {
      const response = await fetch(`${cache.url}/${path}`);
      await response.body?.cancel();
      statuses.push(response.status);
    }
    assert.deepEqual(statuses, [503, 200, 503, 200]);
    cache.setFault({ on: "all", fault: { kind: "status", status: 500, body: "boom" } });
    assert.equal(await (await fetch(`${cache.url}/a.narinfo`)).text(), "boom");
    cache.setFault();
    assert.equal(await (await fetch(`${cache.url}/a.narinfo`)).text(), NARINFO);
  });
});

Deno.test("bodies are cut, stall, trickle and end early as asked", async () => {
  await withCache(async (cache) => {
    const url = `${cache.url}/nar/1b.nar.zst`;
    cache.setFault({ on: "nar", fault: { kind: "cut" } });
    assert.deepEqual(await receivedBytes(url), { bytes: NAR_BYTES / 2, isWhole: false });
    cache.setFault({ on: "nar", fault: { kind: "truncated" } });
    assert.deepEqual(await receivedBytes(url), { bytes: NAR_BYTES / 2, isWhole: true });
    cache.setFault({ on: "nar", fault: { kind: "stalled-body" } });
    assert.deepEqual(await receivedBytes(url, AbortSignal.timeout(200)), { bytes: 65_536, isWhole: false });
    cache.setFault({ on: "nar", fault: { kind: "stalled-header" } });
    await assert.rejects(fetch(url, { signal: AbortSignal.timeout(200) }), /TimeoutError|timed out/);
    cache.setFault({ on: "nar", fault: { kind: "slow", bytesPerSecond: 1_000_000 } });
    const start = performance.now();
    assert.deepEqual(await receivedBytes(url), { bytes: NAR_BYTES, isWhole: true });
    assert.ok(performance.now() - start > 200, "300 kB at 1 MB/s take 0.3 s");
  });
});

Deno.test("faultyBody() changes what a fault is named after, and nothing else", async (t) => {
  const cases: [kind: Fault["kind"], was: string, becomes: string][] = [
    ["no-signature", "Sig: cache-1:abcdefghijklmnop==\n", ""],
    ["bad-signature", "Sig: cache-1:abcdefgh", "Sig: cache-1:AAAAAAAA"],
    ["wrong-nar-hash", "NarHash: sha256:1bcd", "NarHash: sha256:0000"],
    ["wrong-nar-size", "NarSize: 1000", "NarSize: 11000"],
    ["wrong-file-hash", "FileHash: sha256:1abc", "FileHash: sha256:0000"],
  ];
  for (const [kind, was, becomes] of cases) {
    await t.step(kind, () => {
      assert.ok(NARINFO.includes(was));
      const body = faultyBody({ kind } as Fault, new TextEncoder().encode(NARINFO));
      assert.equal(new TextDecoder().decode(body), NARINFO.replace(was, becomes));
    });
  }
  await t.step("corrupted", () => {
    assert.deepEqual([...faultyBody({ kind: "corrupted" }, new Uint8Array(6))], [0, 0, 0, 0xff, 0xff, 0]);
  });
});

Deno.test("ruleHits() goes by kind of file, pattern and size", () => {
  const fault: Fault = { kind: "cut" };
  assert.equal(ruleHits({ on: "nar", fault }, "nar/1.nar.zst", 10), true);
  assert.equal(ruleHits({ on: "nar", fault, minBytes: 11 }, "nar/1.nar.zst", 10), false);
  assert.equal(ruleHits({ on: "nar", fault }, "a.narinfo", 10), false);
  assert.equal(ruleHits({ on: "narinfo", fault }, "a.narinfo", 10), true);
  assert.equal(ruleHits({ on: "nix-cache-info", fault }, "nix-cache-info", 10), true);
  assert.equal(ruleHits({ on: /^a\./, fault }, "a.narinfo", 10), true);
  assert.equal(ruleHits({ on: /^b\./, fault }, "a.narinfo", 10), false);
});

Deno.test("rangeStart() understands what Nix sends and nothing else", () => {
  assert.deepEqual(["bytes=5-", "bytes=5-9", "bytes=-5", "", null].map(rangeStart), [5, 0, 0, 0, 0]);
});
