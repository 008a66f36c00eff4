import assert from "node:assert/strict";
import { SchemaError } from "./schema.ts";
import { parseCacheKey, Substituter } from "./substituter.ts";
import { TEST_CACHE_KEY } from "./testing/documents.ts";

/** The base64 of RFC 8032's first public key. */
const RAW = TEST_CACHE_KEY.split(":")[1] ?? "";

Deno.test("parseCacheKey() reads name:base64 as Nix writes it", () => {
  const key = parseCacheKey(TEST_CACHE_KEY);
  assert.equal(key.name, "cache.example.org-1");
  assert.equal(key.bytes.length, 32);
  assert.equal(key.text, TEST_CACHE_KEY);
});

const BAD_KEYS: readonly [what: string, text: string][] = [
  ["nothing", ""],
  ["no name", `:${RAW}`],
  ["no colon", RAW],
  ["two colons", `a:b:${RAW}`],
  ["a blank before", ` a:${RAW}`],
  ["a blank after", `a:${RAW} `],
  ["a line end after", `a:${RAW}\n`],
  ["a second key", `a:${RAW} b:${RAW}`],
  ["a blank in the name", `a b:${RAW}`],
  ["a letter outside ASCII in the name", `\u00fc:${RAW}`],
  ["a name of 129 characters", `${"a".repeat(129)}:${RAW}`],
  ["a slash in the name", `a/b:${RAW}`],
  ["missing padding", `a:${RAW.slice(0, -1)}`],
  ["too much padding", `a:${RAW}=`],
  ["the URL-safe alphabet", `a:${RAW.replaceAll("+", "-").replaceAll("/", "_")}`],
  ["loose bits at the end", `a:${RAW.slice(0, -2)}p=`],
  ["31 bytes", `a:${btoa("\x01".repeat(31))}`],
  ["33 bytes", `a:${btoa("\x01".repeat(33))}`],
  ["a point of small order", `a:${btoa("\0".repeat(32))}`],
  ["a point that is not canonical", `a:${btoa("\xff".repeat(32))}`],
];

for (const [what, text] of BAD_KEYS) {
  Deno.test(`parseCacheKey() refuses ${what}`, () => {
    assert.throws(() => parseCacheKey(text), {
      name: "TypeError",
      message: /point/.test(what) ? /is not a safe Ed25519 point$/ : /^Cannot read the cache key: wanted name:base64/,
    });
  });
}

Deno.test("parseCacheKey() refuses a secret key without quoting it", () => {
  const encoded = btoa("\x07".repeat(64));
  assert.throws(
    () => parseCacheKey(`cache-1:${encoded}`),
    (error) => error instanceof TypeError && /secret key/.test(error.message) && !error.message.includes(encoded),
  );
});

Deno.test("Substituter() takes 1 to 4 keys and a URL in its normal form only", () => {
  const url = "https://cache.example.org";
  const keys = [TEST_CACHE_KEY];
  assert.deepEqual(Substituter({ url, keys }, "at"), { url, keys });
  Substituter({ url, keys: [...keys, ...keys, ...keys, ...keys] }, "at");
  for (
    const bad of [
      { url, keys: [] },
      { url, keys: [...keys, ...keys, ...keys, ...keys, ...keys] },
      { url: `${url}/`, keys },
      { url: url.toUpperCase(), keys },
      { url: `${url}:443`, keys },
      { url: `${url}?trusted=1`, keys },
      { url: 7, keys },
      { url, keys: [`${TEST_CACHE_KEY} `] },
      { url, keys: [7] },
      { url, keys: TEST_CACHE_KEY },
      { keys, url },
      { url },
    ]
  ) assert.throws(() => Substituter(bad, "at"), SchemaError, JSON.stringify(bad));
});
