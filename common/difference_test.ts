import assert from "node:assert/strict";
import { type ClosurePath, compareVersions, diffClosures } from "./mod.ts";

/** A path with a hash made of its name, so that equal names are equal paths. */
function path(name: string, { narSize = 100, content = "A" } = {}): ClosurePath {
  const letters = [...name].map((letter) => letter.charCodeAt(0)).join("").padEnd(32, "0").slice(-32);
  return { storePath: `/nix/store/${letters}-${name}`, narHash: `sha256-${content.repeat(43)}=`, narSize };
}

Deno.test("compareVersions() orders as Nix does", async (t) => {
  const rows: [string, string, -1 | 0 | 1][] = [
    ["1.0", "2.3", -1],
    ["2.1", "2.3", -1],
    ["2.3", "2.3", 0],
    ["2.5", "2.3", 1],
    ["3.1", "2.3", 1],
    ["2.3.1", "2.3", 1],
    ["2.3.1", "2.3a", 1],
    ["2.3pre1", "2.3", -1],
    ["2.3pre3", "2.3pre12", -1],
    ["2.3a", "2.3c", -1],
    ["2.3pre1", "2.3c", -1],
    ["2.3pre1", "2.3q", -1],
    ["9", "10", -1],
    ["20991231235959999999", "20991231235959999998", 1],
    ["", "1", -1],
  ];
  for (const [a, b, expected] of rows) {
    await t.step(`${a} and ${b}`, () => {
      assert.equal(Math.sign(compareVersions(a, b)), expected);
      assert.equal(Math.sign(compareVersions(b, a)), -expected + 0);
    });
  }
});

Deno.test("diffClosures() names paths and packages and adds up sizes", () => {
  const before = [path("glibc-2.39"), path("openssl-3.0.13"), path("vim-9.1"), path("etc", { narSize: 10 })];
  const after = [
    path("glibc-2.39"),
    path("openssl-3.0.14", { narSize: 150 }),
    path("openssl-3.0.14-bin"),
    path("jq-1.7"),
    path("etc", { narSize: 10 }),
  ];
  const difference = diffClosures(before, after);
  assert.deepEqual(difference.packages, [
    { name: "jq", kind: "added", before: [], after: ["1.7"] },
    { name: "openssl", kind: "up", before: ["3.0.13"], after: ["3.0.14"] },
    { name: "vim", kind: "removed", before: ["9.1"], after: [] },
  ]);
  assert.equal(difference.added.length, 3);
  assert.equal(difference.removed.length, 2);
  assert.equal(difference.narGrowth, 150);
});

Deno.test("diffClosures() tells a downgrade and a second version from an upgrade", () => {
  const down = diffClosures([path("curl-8.9.1")], [path("curl-8.9.0")]);
  assert.deepEqual(down.packages.map(({ kind }) => kind), ["down"]);
  const second = diffClosures([path("curl-8.9.1")], [path("curl-8.9.1"), path("curl-8.4.0")]);
  assert.deepEqual(second.packages, [
    { name: "curl", kind: "changed", before: ["8.9.1"], after: ["8.4.0", "8.9.1"] },
  ]);
});

Deno.test("diffClosures() sees another content under the same path", () => {
  const difference = diffClosures([path("app-1.0")], [path("app-1.0", { content: "B" })]);
  assert.equal(difference.added.length, 1);
  assert.equal(difference.removed.length, 1);
  assert.deepEqual(difference.packages, []);
});
