import assert from "node:assert/strict";
import { parsePathInfo } from "./path_info.ts";

const HELLO = "/nix/store/qa1w9gdfrba6jl2r57mb3c43863gqywp-hello.txt";
const REF = "/nix/store/3cmrvzmwi8kl03zzg5i25crdy3pjz95w-ref.txt";

const EXPECTED = [
  {
    storePath: REF,
    narHash: "sha256-tm7kWKe5KcgfFJR3pS/uzG9zdgMgiSx10iRvENZ5ABA=",
    narSize: 176,
    references: [HELLO],
  },
  {
    storePath: HELLO,
    narHash: "sha256-HDfQGvQL4ugGkd48w99EN3ppmvuxfGjwgJZLL9Bx/BM=",
    narSize: 120,
    references: [],
  },
];

Deno.test("parsePathInfo() reads what real Nix prints", async (t) => {
  for (const name of ["path_info_2.26.json", "path_info_2.34.json", "path_info_2.34_format_2.json"]) {
    await t.step(name, async () => {
      const text = await Deno.readTextFile(new URL(`fixtures/${name}`, import.meta.url));
      assert.deepEqual(parsePathInfo(text), EXPECTED);
    });
  }
});

Deno.test("parsePathInfo() reads the list that Nix printed up to 2.18, with hashes in its own base 32", () => {
  const list = [
    {
      path: REF,
      valid: true,
      narHash: "sha256:0400g7b10vr4s9sjr2900dv76vycxqpsaxwl2hgwhadrlxcf8vmn",
      narSize: 176,
      references: [HELLO],
      registrationTime: 1,
    },
    { path: HELLO, valid: true, narHash: EXPECTED[1]?.narHash, narSize: 120, references: [] },
  ];
  assert.deepEqual(parsePathInfo(JSON.stringify(list)), EXPECTED);
});

const GOOD = { narHash: EXPECTED[0]?.narHash, narSize: 1, references: [] };

Deno.test("parsePathInfo() refuses what it does not know", async (t) => {
  const rows: [name: string, value: unknown, says: RegExp][] = [
    ["a path that is not there", { [HELLO]: null }, /hello\.txt is not in the Nix store \(build it first\)/],
    ["a path that is not valid", [{ path: HELLO, valid: false }], /hello\.txt is not in the Nix store/],
    ["an item without a path", [{ valid: true }], /an item has no path/],
    ["an item that is no object", ["x"], /an item has no path/],
    ["text", "x", /wanted a list or an object/],
    ["a number", 1, /wanted a list or an object/],
    ["nothing", {}, /lists no path/],
    ["another hash", { [HELLO]: { ...GOOD, narHash: "md5:abc" } }, /narHash must be a SHA-256 as Nix prints it/],
    ["a short hash", { [HELLO]: { ...GOOD, narHash: "sha256-AAAA" } }, /narHash must be a SHA-256/],
    ["a size of 0", { [HELLO]: { ...GOOD, narSize: 0 } }, /narSize must be an integer from 1/],
    ["a reference elsewhere", { [HELLO]: { ...GOOD, references: ["/etc/passwd"] } }, /as a store path/],
    ["a path elsewhere", { "/etc/passwd": GOOD }, /as a store path/],
    ["a derivation", { [`${HELLO}.drv`]: GOOD }, /it is a derivation/],
    ["no references", { [HELLO]: { narHash: GOOD.narHash, narSize: 1 } }, /references must be a list, found nothing/],
    ["a newer format", { version: 3, storeDir: "/nix/store", info: {} }, /output\.version must be 2, found 3/],
    ["another store", { version: 2, storeDir: "/gnu/store", info: {} }, /output\.storeDir must be "\/nix\/store"/],
    ["a format without its content", { version: 2, storeDir: "/nix/store", info: 1 }, /output\.info must be an object/],
  ];
  for (const [name, value, says] of rows) {
    await t.step(name, () => assert.throws(() => parsePathInfo(JSON.stringify(value)), says));
  }
  await t.step("no JSON", () => assert.throws(() => parsePathInfo("error:"), /as it is not JSON/));
  await t.step("too many paths", () => {
    const many = Array.from({ length: 65_537 }, (_, at) => [`/nix/store/${String(at).padStart(32, "0")}-x`, GOOD]);
    assert.throws(
      () => parsePathInfo(JSON.stringify(Object.fromEntries(many))),
      /it has 65537 paths: wanted at most 65536/,
    );
  });
});
