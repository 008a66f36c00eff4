import assert from "node:assert/strict";
import fc from "fast-check";
import { parsePackageName, parseStorePath } from "./store_path.ts";

const HASH = "0123456789abcdfghijklmnpqrsvwxyz";
const STORE = `/nix/store/${HASH}`;

const GOOD: readonly string[] = [
  "hello-2.12.1",
  "a",
  "A",
  "0",
  "-",
  "--help",
  "_",
  "+",
  "=",
  "?",
  "x?y=z",
  "nixos-system-fridge-26.05pre-git",
  "gtk+3-3.24.43",
  "source.tar.gz",
  "drv",
  "x.drv-doc",
  "x.drv.chroot",
  ".hidden",
  "...",
  ".x",
  "..x",
  ".x-y",
  "x-.",
  "x-..",
  "a.",
  "e-o-u-t",
  "x".repeat(211),
];

for (const name of GOOD) {
  Deno.test(`parseStorePath() reads the name ${name.slice(0, 40)}`, () => {
    assert.deepEqual(parseStorePath(`${STORE}-${name}`), { path: `${STORE}-${name}`, hash: HASH, name });
  });
}

const BAD: readonly [what: string, text: string][] = [
  ["nothing", ""],
  ["the store", "/nix/store"],
  ["the store with a slash", "/nix/store/"],
  ["no hash", "/nix/store/hello"],
  ["no name", STORE],
  ["an empty name", `${STORE}-`],
  ["no dash", `${STORE}hello`],
  ["another store", `/gnu/store/${HASH}-hello`],
  ["a store in a root", `/mnt/nix/store/${HASH}-hello`],
  ["a relative path", `nix/store/${HASH}-hello`],
  ["a bare name", `${HASH}-hello`],
  ["two slashes", `/nix/store//${HASH}-hello`],
  ["two slashes before", `//nix/store/${HASH}-hello`],
  ["a dot part", `/nix/./store/${HASH}-hello`],
  ["a way up", `/nix/store/../store/${HASH}-hello`],
  ["a capital store", `/nix/Store/${HASH}-hello`],
  ["a file inside", `${STORE}-hello/bin/hello`],
  ["a slash at the end", `${STORE}-hello/`],
  ["a way up inside", `${STORE}-hello/../../../etc`],
  ["a link file", `/nix/store/.links/${HASH}`],
  ["a hash of 31", `/nix/store/${HASH.slice(1)}-hello`],
  ["a hash of 33", `/nix/store/${HASH}0-hello`],
  ["an e in the hash", `/nix/store/e${HASH.slice(1)}-hello`],
  ["an o in the hash", `/nix/store/o${HASH.slice(1)}-hello`],
  ["a u in the hash", `/nix/store/u${HASH.slice(1)}-hello`],
  ["a t in the hash", `/nix/store/t${HASH.slice(1)}-hello`],
  ["a capital in the hash", `/nix/store/A${HASH.slice(1)}-hello`],
  ["a dash in the hash", `/nix/store/-${HASH.slice(1)}-hello`],
  ["a name of 212 characters", `${STORE}-${"x".repeat(212)}`],
  ["a name of a million characters", `${STORE}-${"x".repeat(1_000_000)}`],
  ["the name .", `${STORE}-.`],
  ["the name ..", `${STORE}-..`],
  ["a name that begins with .-", `${STORE}-.-x`],
  ["a name that begins with ..-", `${STORE}-..-x`],
  ["the name .-", `${STORE}-.-`],
  ["the name ..-", `${STORE}-..-`],
  ["a derivation", `${STORE}-hello-2.12.1.drv`],
  ["a derivation without a name", `${STORE}-.drv`],
  ["an output of a derivation", `${STORE}-hello.drv!out`],
  ["an installable", `${STORE}-hello^out`],
  ["a comma", `${STORE}-a,b`],
  ["only a comma", `${STORE}-,`],
  ["a star", `${STORE}-*`],
  ["a semicolon", `${STORE}-a;reboot`],
  ["a dollar", `${STORE}-$HOME`],
  ["a command in brackets", `${STORE}-$(reboot)`],
  ["a command in backticks", `${STORE}-\`reboot\``],
  ["a bar", `${STORE}-a|b`],
  ["an ampersand", `${STORE}-a&b`],
  ["a quote", `${STORE}-a"b`],
  ["an apostrophe", `${STORE}-a'b`],
  ["a backslash", `${STORE}-a\\b`],
  ["a percent sign", `${STORE}-a%2Fb`],
  ["a hash sign", `${STORE}-a#b`],
  ["an at sign", `${STORE}-a@b`],
  ["a colon", `${STORE}-a:b`],
  ["a tilde", `${STORE}-a~b`],
  ["an exclamation mark", `${STORE}-a!b`],
  ["brackets", `${STORE}-a(b)`],
  ["angles", `${STORE}-<a>`],
  ["a blank", `${STORE}-a b`],
  ["a blank before", ` ${STORE}-hello`],
  ["a blank after", `${STORE}-hello `],
  ["a tab", `${STORE}-a\tb`],
  ["a line end", `${STORE}-hello\n`],
  ["a line end before", `\n${STORE}-hello`],
  ["two lines", `${STORE}-hello\n${STORE}-hello`],
  ["a carriage return", `${STORE}-hello\r`],
  ["a NUL", `${STORE}-hello\0`],
  ["a letter outside ASCII", `${STORE}-caf\u00e9`],
  ["a full-width dot", `${STORE}-\uff0e`],
  ["a mark of direction", `${STORE}-a\u202eb`],
  ["a URL", `file://${STORE}-hello`],
];

for (const [what, text] of BAD) {
  Deno.test(`parseStorePath() refuses ${what}`, () => {
    assert.throws(() => parseStorePath(text), (error) => error instanceof TypeError && error.message.length < 300);
  });
}

Deno.test("parseStorePath() says that a derivation is to be given as its output", () => {
  assert.throws(() => parseStorePath(`${STORE}-x.drv`), /is a derivation \(give its output/);
});

Deno.test("parseStorePath() accepts no character that a shell, a list or a file system reads otherwise", () => {
  const name = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.array(fc.constantFrom(..."abet09.-_+?=,/ \n$".split(""), "..", ".drv"), { maxLength: 12 }).map((one) =>
      one.join("")
    ),
  );
  let accepted = 0;
  fc.assert(
    fc.property(name, (text) => {
      try {
        const parts = parseStorePath(`${STORE}-${text}`);
        assert.equal(parts.name, text);
        assert.match(text, /^[0-9A-Za-z+\-._?=]+$/);
        assert.ok(!text.endsWith(".drv") && ![".", ".."].includes(text.split("-")[0] ?? ""));
        accepted += 1;
      } catch (error) {
        if (!(error instanceof TypeError)) throw error;
      }
    }),
    { numRuns: 5000, seed: 7 },
  );
  assert.ok(accepted > 200);
});

const PACKAGES: readonly [text: string, name: string, version: string][] = [
  ["openssl-3.0.14", "openssl", "3.0.14"],
  ["nixos-system-fridge-26.05", "nixos-system-fridge", "26.05"],
  ["gtk+3-3.24", "gtk+3", "3.24"],
  ["linux-6.12.1-modules", "linux", "6.12.1-modules"],
  ["unit-sshd.service", "unit-sshd.service", ""],
  ["foo-.5", "foo", ".5"],
  ["foo--1", "foo", "-1"],
  ["foo-", "foo-", ""],
  ["-1", "", "1"],
  ["x", "x", ""],
  ["", "", ""],
];

for (const [text, name, version] of PACKAGES) {
  Deno.test(`parsePackageName() splits ${JSON.stringify(text)}`, () => {
    assert.deepEqual(parsePackageName(text), { name, version });
  });
}
