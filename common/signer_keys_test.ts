import assert from "node:assert/strict";
import { formatOpenSshPublicKey, formatRawPublicKey } from "./key.ts";
import { testSigner } from "./testing/documents.ts";
import { formatSignerKeys, parseSignerKeys } from "./wire.ts";

const KEYS = await Promise.all(Array.from({ length: 17 }, async (_, at) => (await testSigner(at + 1)).publicKey));

Deno.test("parseSignerKeys() reads back what formatSignerKeys() prints, up to 16 keys", () => {
  for (const count of [0, 1, 2, 16]) {
    const keys = KEYS.slice(0, count);
    assert.deepEqual(parseSignerKeys(formatSignerKeys(keys)), keys);
  }
  assert.throws(() => parseSignerKeys(formatSignerKeys(KEYS)), { code: "request_invalid", message: /over 16/ });
});

const [FIRST] = KEYS;
assert.ok(FIRST);
const RAW = formatRawPublicKey(FIRST);

const HEADERS: readonly [what: string, header: string | null | undefined, count: number | null][] = [
  ["no header", null, 0],
  ["nothing", undefined, 0],
  ["an empty header", "", 0],
  ["only commas", " , ,, ", 0],
  ["blanks around keys", ` ${RAW} ,\t${RAW}`, 2],
  ["an OpenSSH line", formatOpenSshPublicKey(FIRST), 1],
  ["a word", "key", null],
  ["a good key and a bad one", `${RAW},key`, null],
  ["a point of small order", btoa("\0".repeat(32)), null],
  ["keys without commas", `${RAW} ${RAW}`, null],
  ["a header of 16 KiB", "A".repeat(16_384), null],
];

for (const [what, header, count] of HEADERS) {
  Deno.test(`parseSignerKeys() ${count === null ? "refuses" : `finds ${count} keys in`} ${what}`, () => {
    if (count !== null) assert.equal(parseSignerKeys(header).length, count);
    else assert.throws(() => parseSignerKeys(header), { code: "request_invalid", message: /nix-ota-signer-keys/ });
  });
}
