import assert from "node:assert/strict";
import {
  createProgressReader,
  MESSAGES_MAX,
  parseDamaged,
  parseDryRun,
  parseNarHash,
  parseNix32,
  parsePathInfo,
} from "./nix_output.ts";

const PATH = "/nix/store/0w9w7wmhkill23dbhp9q7gnppxcrkv6q-nixos-system-device-24.11.2";
const BASE = PATH.slice("/nix/store/".length);
// The SHA-256 of nothing, in every form that Nix has printed.
const SRI = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
const NIX32 = "0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73";
const HEX = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

Deno.test("parseNarHash() turns every form into the signed one", async (t) => {
  const forms: readonly unknown[] = [
    SRI,
    `sha256:${NIX32}`,
    `sha256:${HEX}`,
    { algorithm: "sha256", format: "base64", hash: SRI.slice(7) },
    { algorithm: "sha256", format: "base16", hash: HEX },
    { algorithm: "sha256", format: "nix32", hash: NIX32 },
  ];
  for (const form of forms) await t.step(JSON.stringify(form), () => assert.equal(parseNarHash(form), SRI));
});

Deno.test("parseNarHash() refuses what is no SHA-256", async (t) => {
  const forms = [
    null,
    5,
    "",
    "sha256",
    "sha256-",
    `sha1-${SRI.slice(7)}`,
    `sha256:${NIX32.slice(1)}`,
    `sha256:${"e".repeat(52)}`,
    {},
    { algorithm: "sha512", hash: HEX },
  ];
  for (const form of forms) await t.step(JSON.stringify(form), () => assert.equal(parseNarHash(form), null));
});

Deno.test("parseNix32() refuses bits beyond the last byte", () => {
  assert.equal(parseNix32("z" + "0".repeat(51), 32), null);
  assert.notEqual(parseNix32("1" + "0".repeat(51), 32), null);
});

Deno.test("parsePathInfo() reads every form", async (t) => {
  const wanted = [{ storePath: PATH, narHash: SRI, narSize: 1234 }];
  const forms: readonly (readonly [string, unknown])[] = [
    ["Nix 2.18, a list", [{ path: PATH, narHash: SRI, narSize: 1234, valid: true }]],
    ["Nix 2.26, an object by path", { [PATH]: { narHash: SRI, narSize: 1234, ca: null } }],
    ["an object by base name below info", {
      version: 2,
      storeDir: "/nix/store",
      info: { [BASE]: { narHash: { algorithm: "sha256", format: "base64", hash: SRI.slice(7) }, narSize: 1234 } },
    }],
  ];
  for (const [name, form] of forms) {
    await t.step(name, () => assert.deepEqual(parsePathInfo(JSON.stringify(form)), wanted));
  }
});

Deno.test("parsePathInfo() refuses what is missing or odd", async (t) => {
  const cases: readonly (readonly [unknown, RegExp])[] = [
    [{ [PATH]: null }, /is not in the store/],
    [[{ path: PATH, valid: false }], /is not in the store/],
    [[{ narHash: SRI }], /an entry has no path/],
    [{ [PATH]: { narHash: "md5:x", narSize: 1 } }, /the hash of .* has an unknown form/],
    [{ [PATH]: { narHash: SRI, narSize: -1 } }, /the size of .* is not a number/],
    [{ [PATH]: { narHash: SRI, narSize: "1" } }, /the size of .* is not a number/],
    [{ "/etc/passwd": { narHash: SRI, narSize: 1 } }, /Cannot read "\/etc\/passwd" as a store path/],
    [7, /wanted a list or an object/],
  ];
  for (const [form, problem] of cases) {
    await t.step(JSON.stringify(form), () => assert.throws(() => parsePathInfo(JSON.stringify(form)), problem));
  }
  assert.throws(() => parsePathInfo("not JSON"));
});

Deno.test("parseDamaged() finds every altered path once, with and without colours", () => {
  const line = `path '${PATH}' was modified! expected hash 'sha256:a', got 'sha256:b'\n`;
  const coloured = `\u001b[31;1merror:\u001b[0m path '\u001b[35;1m${PATH}\u001b[0m' is not valid\n`;
  assert.deepEqual(parseDamaged(line + coloured + "copying path '/nix/store/x'\n"), [PATH]);
  assert.deepEqual(parseDamaged("all is well\n"), []);
});

Deno.test("parseDryRun() reads what would be unpacked, in any unit", async (t) => {
  const cases: readonly (readonly [string, number])[] = [
    ["these 5 paths will be fetched (4.77 MiB download, 4.79 MiB unpacked):", Math.ceil(4.79 * 1024 ** 2)],
    ["this path will be fetched (44.7 KiB download, 112.0 KiB unpacked):", 112 * 1024],
    ["these 900 paths will be fetched (1.20 GiB download, 5.50 GiB unpacked):", 5.5 * 1024 ** 3],
    ["", 0],
  ];
  for (const [said, bytes] of cases) await t.step(said || "nothing", () => assert.equal(parseDryRun(said), bytes));
});

Deno.test("the progress reader follows a real download of either Nix", async (t) => {
  for (const folder of ["nix", "nix-2.34"]) {
    await t.step(folder, async () => {
      const reader = createProgressReader();
      let most = 0;
      for (
        const line of (await Deno.readTextFile(new URL(`./fixtures/${folder}/progress.txt`, import.meta.url))).split(
          "\n",
        )
      ) {
        reader.read(line);
        const { bytes, ofBytes, paths, ofPaths } = reader.progress();
        assert.ok(bytes >= most && bytes <= ofBytes && paths <= ofPaths);
        most = bytes;
      }
      assert.ok(most > 20_000_000, `only ${most} bytes`);
    });
  }
});

Deno.test("the progress reader ignores junk", async (t) => {
  const junk = [
    "@nix ",
    "@nix {",
    '@nix {"action":"start"}',
    '@nix {"action":"result","id":"x","type":105,"fields":[1]}',
    '@nix {"action":"result","id":1,"type":105,"fields":[-5,"x"]}',
    '@nix {"action":"result","id":1,"type":105}',
    '@nix {"action":"stop","id":99}',
    "@nix []",
    "@nix null",
    '@nix {"action":"msg","level":0,"msg":7}',
  ];
  for (const line of junk) {
    await t.step(line, () => {
      const reader = createProgressReader();
      reader.read(line);
      assert.deepEqual(reader.progress(), { paths: 0, ofPaths: 0, bytes: 0, ofBytes: 0 });
    });
  }
});

Deno.test("the progress reader keeps a bounded number of messages, and errors whatever follows them", () => {
  const reader = createProgressReader();
  reader.read('@nix {"action":"msg","level":0,"msg":"error: the reason"}');
  for (let n = 0; n < 10_000; n++) reader.read(`@nix {"action":"msg","level":3,"msg":"path ${n}"}`);
  const messages = reader.messages();
  assert.ok(messages.length <= 2 * MESSAGES_MAX);
  assert.equal(messages.at(-1), "error: the reason");
});
