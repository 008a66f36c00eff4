import assert from "node:assert/strict";
import { aptReason, packageNames } from "./debian_packages.ts";
import { ensureNix, isStaticElf, obstacleTo, parseNixVersion } from "./nix_tools.ts";

Deno.test("parseNixVersion() finds the version of Nix and its relatives", async (t) => {
  const cases: [text: string, expected: string | undefined][] = [
    ["nix (Nix) 2.26.3\n", "2.26.3"],
    ["nix (Nix) 2.24pre20240801_deadbeef\n", "2.24"],
    ["nix (Determinate Nix 3.8.1) 2.30.1\n", "2.30.1"],
    ["nix (Lix, like Nix) 2.93.0\n", "2.93.0"],
    ["", undefined],
    ["command not found\n", undefined],
  ];
  for (const [text, expected] of cases) {
    await t.step(JSON.stringify(text), () => assert.equal(parseNixVersion(text), expected));
  }
});

Deno.test("obstacleTo() draws the line at 2.18 and at /nix", () => {
  const versions = ["1.99", "2.8.0", "2.17.9", "2.18", "2.31.2", "3.0"];
  assert.deepEqual(versions.filter((version) => obstacleTo(version, "/usr/bin/nix") === undefined), [
    "2.18",
    "2.31.2",
    "3.0",
  ]);
  assert.match(obstacleTo("2.31.2", "/nix/store/x-nix/bin/nix") ?? "", /itself in \/nix/);
});

Deno.test("ensureNix() takes what is on PATH and downloads nothing when it is new enough", async () => {
  const dir = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${dir}/nix`, "#!/bin/sh\necho 'nix (Nix) 2.31.2'\n", { mode: 0o755 });
    await Deno.writeFile(`${dir}/busybox`, elf([1, 2]), { mode: 0o755 });
    const lines: string[] = [];
    const tools = await ensureNix({
      cacheDir: `${dir}/cache`,
      path: `:relative:${dir}`,
      log: (line) => lines.push(line),
    });
    assert.deepEqual(tools, { binDir: dir, version: "2.31.2", busybox: `${dir}/busybox`, origin: "path" });
    assert.deepEqual(lines, []);
    await assert.rejects(Deno.stat(`${dir}/cache`), Deno.errors.NotFound);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("isStaticElf() tells a static program from a dynamic one and from a script", async () => {
  assert.equal(isStaticElf(elf([1, 2])), true);
  assert.equal(isStaticElf(elf([6, 3, 1])), false);
  assert.equal(isStaticElf(elf([1, 2]).subarray(0, 70)), false, "a cut file");
  assert.equal(isStaticElf(new TextEncoder().encode("#!/bin/sh\n".padEnd(100))), false);
  using deno = await Deno.open(Deno.execPath());
  const head = new Uint8Array(4096);
  await deno.read(head);
  assert.equal(isStaticElf(head), false, "Deno itself");
});

Deno.test("packageNames() reads what apt-get would download", () => {
  const text = "Reading package lists...\n" +
    "'http://m.example/debian/pool/main/n/nix/nix-bin_2.26.3%2bdfsg-1_amd64.deb' nix-bin_2.26.3+dfsg-1_amd64.deb 35 SHA256:0\n" +
    "'http://m.example/debian/pool/main/z/zlib1g_1.3_amd64.deb' zlib1g_1%3a1.3_amd64.deb 88 SHA256:1\n";
  assert.deepEqual(packageNames(text), ["nix-bin", "zlib1g"]);
});

Deno.test("aptReason() names what could not be fetched and not that something was ignored", () => {
  const ignored = "E: Some index files failed to download. They have been ignored, or old ones used instead.";
  const stderr =
    `W: Failed to fetch http://m.example/dists/trixie/InRelease  Could not resolve 'm.example'\n${ignored}\n`;
  assert.match(aptReason({ stdout: "", stderr }), /^Failed to fetch .* Could not resolve 'm.example'$/);
  assert.equal(aptReason({ stdout: "Reading...\n", stderr: "E: not signed.\n" }), "E: not signed.");
});

/** The least of an ELF file that has these program headers. */
function elf(headerTypes: number[]): Uint8Array {
  const entryBytes = 56;
  const bytes = new Uint8Array(64 + headerTypes.length * entryBytes);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1]);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(32, 64n, true);
  view.setUint16(54, entryBytes, true);
  view.setUint16(56, headerTypes.length, true);
  headerTypes.forEach((type, index) => view.setUint32(64 + index * entryBytes, type, true));
  return bytes;
}
