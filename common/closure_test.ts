import assert from "node:assert/strict";
import fc from "fast-check";
import { digestOf } from "./base64.ts";
import { encodeUtf8 } from "./canonical.ts";
import {
  type ClosurePath,
  formatClosureListing,
  LISTING_MAX_BYTES,
  parseClosureListing,
  summariseClosure,
} from "./closure.ts";
import { OtaError } from "./errors.ts";
import { CLOSURE_PATHS_MAX } from "./release.ts";
import { TEST_NAR_HASH, testStorePath } from "./testing/documents.ts";
import { fromHex } from "./testing/random.ts";

const HASH = "0".repeat(32);
const A: ClosurePath = { storePath: `/nix/store/${HASH}-a`, narHash: TEST_NAR_HASH, narSize: 120 };
const AB: ClosurePath = { storePath: `/nix/store/${HASH}-a-b`, narHash: TEST_NAR_HASH, narSize: 0 };
const B: ClosurePath = { storePath: `/nix/store/${HASH}-b`, narHash: TEST_NAR_HASH, narSize: Number.MAX_SAFE_INTEGER };
const LISTING = `${A.storePath} ${TEST_NAR_HASH} 120\n` +
  `${AB.storePath} ${TEST_NAR_HASH} 0\n` +
  `${B.storePath} ${TEST_NAR_HASH} 9007199254740991\n`;

Deno.test("formatClosureListing() sorts its lines, whatever the order of the paths", () => {
  for (const paths of [[A, AB, B], [B, AB, A], [AB, B, A]]) assert.equal(formatClosureListing(paths), LISTING);
  assert.equal(formatClosureListing([]), "");
});

Deno.test("parseClosureListing() reads back what formatClosureListing() prints", () => {
  assert.deepEqual(parseClosureListing(encodeUtf8(LISTING)), [A, AB, B]);
  assert.deepEqual(parseClosureListing(new Uint8Array()), []);
});

Deno.test("formatClosureListing() sorts by code unit and not as a locale would", () => {
  const names = ["B", "a", "+", "-", ".", "=", "?", "_", "0"];
  const paths = names.map((name) => ({ ...A, storePath: `/nix/store/${HASH}-x${name}` }));
  const sorted = parseClosureListing(encodeUtf8(formatClosureListing(paths))).map(({ storePath }) => storePath.at(-1));
  assert.deepEqual(sorted, ["+", "-", ".", "0", "=", "?", "B", "_", "a"]);
});

Deno.test("summariseClosure() counts, adds up and digests the listing, whatever the order", async () => {
  const paths = [A, AB];
  const digest = await digestOf(encodeUtf8(formatClosureListing(paths)));
  assert.deepEqual(await summariseClosure(paths), { paths: 2, narSize: 120, digest });
  assert.deepEqual(await summariseClosure([AB, A]), { paths: 2, narSize: 120, digest });
  assert.equal(
    (await summariseClosure([])).digest,
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
  );
});

Deno.test("summariseClosure() changes with every field of every path", async () => {
  const digests = new Set<string>();
  for (
    const paths of [
      [A, AB],
      [A],
      [{ ...A, narSize: 121 }, AB],
      [{ ...A, narHash: TEST_NAR_HASH.replace("47", "48") }, AB],
      [{ ...A, storePath: `/nix/store/${HASH}-c` }, AB],
    ]
  ) digests.add((await summariseClosure(paths)).digest);
  assert.equal(digests.size, 5);
});

const GOOD_LINE = `${A.storePath} ${TEST_NAR_HASH} 120`;
const MALFORMED: readonly [what: string, text: string, line: number | null][] = [
  ["a last line without its end", LISTING.slice(0, -1), null],
  ["a line end of Windows", LISTING.replaceAll("\n", "\r\n"), 1],
  ["an empty line", `${GOOD_LINE}\n\n`, 2],
  ["only a line end", "\n", 1],
  ["an empty line first", `\n${GOOD_LINE}\n`, 1],
  ["lines out of order", LISTING.split("\n").reverse().join("\n").slice(1) + "\n", 2],
  ["a line twice", `${GOOD_LINE}\n${GOOD_LINE}\n`, 2],
  ["a path twice with another size", `${GOOD_LINE}\n${GOOD_LINE}1\n`, 2],
  ["a path twice with another hash", `${GOOD_LINE}\n${GOOD_LINE.replace("47", "48")}\n`, 2],
  ["a comment", `# listing\n${LISTING}`, 1],
  ["two fields", `${A.storePath} ${TEST_NAR_HASH}\n`, 1],
  ["four fields", `${GOOD_LINE} 1\n`, 1],
  ["two blanks", `${GOOD_LINE.replace(" ", "  ")}\n`, 1],
  ["a tab", `${GOOD_LINE.replace(" ", "\t")}\n`, 1],
  ["a blank before", ` ${GOOD_LINE}\n`, 1],
  ["a blank after", `${GOOD_LINE} \n`, 1],
  ["no size", `${A.storePath} ${TEST_NAR_HASH} \n`, 1],
  ["a size with a zero before", `${A.storePath} ${TEST_NAR_HASH} 0120\n`, 1],
  ["a negative size", `${A.storePath} ${TEST_NAR_HASH} -1\n`, 1],
  ["a fraction", `${A.storePath} ${TEST_NAR_HASH} 1.5\n`, 1],
  ["an exponent", `${A.storePath} ${TEST_NAR_HASH} 1e3\n`, 1],
  ["hexadecimal", `${A.storePath} ${TEST_NAR_HASH} 0x1\n`, 1],
  ["a size of 2^53", `${A.storePath} ${TEST_NAR_HASH} 9007199254740992\n`, 1],
  ["a size of 17 digits", `${A.storePath} ${TEST_NAR_HASH} 10000000000000000\n`, 1],
  ["a size in Arabic digits", `${A.storePath} ${TEST_NAR_HASH} \u0661\n`, 1],
  ["another store", GOOD_LINE.replace("/nix", "/gnu") + "\n", 1],
  ["a file inside a path", GOOD_LINE.replace("-a ", "-a/bin ") + "\n", 1],
  ["a derivation", GOOD_LINE.replace("-a ", "-a.drv ") + "\n", 1],
  ["no path", `${TEST_NAR_HASH} 120\n`, 1],
  ["a hash in Nix's base 32", `${A.storePath} sha256:${"0".repeat(52)} 120\n`, 1],
  ["a hash in hexadecimal", `${A.storePath} sha256:${"0".repeat(64)} 120\n`, 1],
  ["SHA-512", `${A.storePath} ${TEST_NAR_HASH.replace("256", "512")} 120\n`, 1],
  ["a hash with loose bits", GOOD_LINE.replace("FU=", "FV=") + "\n", 1],
  ["a byte-order mark", `\ufeff${LISTING}`, 1],
  ["a NUL", `${GOOD_LINE}\0\n`, 1],
  ["a bad third line", LISTING.replace(" 9007199254740991", " x"), 3],
  ["JSON", "[]\n", 1],
];

for (const [what, text, line] of MALFORMED) {
  Deno.test(`parseClosureListing() refuses ${what}`, () => {
    assert.throws(() => parseClosureListing(encodeUtf8(text)), {
      name: "OtaError",
      code: "request_invalid",
      message: line === null ? /last line is cut/ : new RegExp(`, line ${line}: `),
    });
  });
}

Deno.test("parseClosureListing() refuses bytes that are no UTF-8", () => {
  assert.throws(() => parseClosureListing(fromHex("ff0a")), { code: "encoding_invalid" });
});

Deno.test("parseClosureListing() reads as many paths as a release may have, and not one more", () => {
  const line = (at: number): string => `/nix/store/${at.toString().padStart(32, "0")}-x ${TEST_NAR_HASH} 1\n`;
  const most = Array.from({ length: CLOSURE_PATHS_MAX }, (_, at) => line(at)).join("");
  assert.ok(most.length < LISTING_MAX_BYTES);
  assert.equal(parseClosureListing(encodeUtf8(most)).length, CLOSURE_PATHS_MAX);
  assert.throws(() => parseClosureListing(encodeUtf8(most + line(99_999))), { message: /more than 65536 paths/ });
});

Deno.test("parseClosureListing() refuses 8 MiB of line ends and more bytes than that without reading them", () => {
  const ends = new Uint8Array(LISTING_MAX_BYTES).fill(0x0a);
  assert.throws(() => parseClosureListing(ends), { code: "request_invalid", message: /more than 65536 paths/ });
  assert.throws(() => parseClosureListing(new Uint8Array(LISTING_MAX_BYTES + 1)), { code: "body_too_large" });
});

Deno.test("parseClosureListing() reads any closure back, and only in its one form", () => {
  const path = fc.record({
    storePath: fc.stringMatching(/^[a-z0-9.+_-]{1,30}$/).filter((name) => !name.endsWith(".drv")).map((name) =>
      testStorePath(`x${name}`)
    ),
    narHash: fc.constant(TEST_NAR_HASH),
    narSize: fc.maxSafeNat(),
  });
  const closure = fc.uniqueArray(path, { selector: ({ storePath }) => storePath, maxLength: 20 });
  fc.assert(
    fc.property(closure, (paths) => {
      const text = formatClosureListing(paths);
      const read = parseClosureListing(encodeUtf8(text));
      assert.equal(formatClosureListing(read), text);
      assert.equal(read.length, paths.length);
      if (paths.length < 2) return;
      const backwards = `${text.trimEnd().split("\n").reverse().join("\n")}\n`;
      assert.throws(() => parseClosureListing(encodeUtf8(backwards)), OtaError);
    }),
    { numRuns: 300, seed: 12 },
  );
});
