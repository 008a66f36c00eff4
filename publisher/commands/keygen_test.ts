import assert from "node:assert/strict";
import { fingerprintOf, parsePublicKey } from "@nix-ota/common";
import { readSigner } from "../signer/key_file.ts";
import { runNixOta } from "../testing/cli.ts";

async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "nix-ota-keygen-" });
  try {
    await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function namesIn(folder: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name).sort();
}

const neverAsked = (): Promise<string> => Promise.reject(new Error("asked for a passphrase"));

Deno.test("keygen writes a key pair that belongs together, the private half for its owner only", async () => {
  await withFolder(async (folder) => {
    const { code, stdout, stderr } = await runNixOta(["keygen", "--out", `${folder}/sign.key`]);
    assert.equal(code, 0, stderr);
    assert.deepEqual(await namesIn(folder), ["sign.key", "sign.key.pub"]);
    assert.equal((await Deno.stat(`${folder}/sign.key`)).mode! & 0o777, 0o600);
    const signer = await readSigner(`${folder}/sign.key`, neverAsked);
    const publicKey = parsePublicKey(await Deno.readTextFile(`${folder}/sign.key.pub`));
    assert.deepEqual(publicKey.bytes, signer.publicKey.bytes);
    assert.equal(publicKey.name, "sign");
    const shown = /^public key +(\S+)$/m.exec(stdout)?.[1] ?? "";
    assert.deepEqual(parsePublicKey(shown).bytes, signer.publicKey.bytes);
    assert.ok(stdout.includes(await fingerprintOf(publicKey)));
  });
});

Deno.test("keygen never overwrites a file, and leaves nothing when it refuses", async (t) => {
  for (const taken of ["sign.key", "sign.key.pub"]) {
    await t.step(taken, () =>
      withFolder(async (folder) => {
        await Deno.writeTextFile(`${folder}/${taken}`, "mine");
        const { code, stderr } = await runNixOta(["keygen", "--out", `${folder}/sign.key`]);
        assert.equal(code, 2);
        assert.match(stderr, /as it already exists: a key is never overwritten/);
        assert.deepEqual(await namesIn(folder), [taken]);
        assert.equal(await Deno.readTextFile(`${folder}/${taken}`), "mine");
      }));
  }
});

Deno.test("keygen encrypts with the passphrase in a file", async () => {
  await withFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/passphrase`, "correct horse\n");
    const args = ["keygen", "--out", `${folder}/a.key`, "--passphrase-file", `${folder}/passphrase`, "--json"];
    const { code, stdout, stderr } = await runNixOta(args);
    assert.equal(code, 0, stderr);
    assert.match(await Deno.readTextFile(`${folder}/a.key`), /^-----BEGIN ENCRYPTED PRIVATE KEY-----\n/);
    const signer = await readSigner(`${folder}/a.key`, () => Promise.resolve("correct horse"));
    const report = JSON.parse(stdout);
    assert.equal(report.encrypted, true);
    assert.deepEqual(parsePublicKey(report.publicKey).bytes, signer.publicKey.bytes);
    assert.ok(!stdout.includes("horse") && !stderr.includes("horse"));
    await assert.rejects(
      readSigner(`${folder}/a.key`, () => Promise.resolve("wrong horse")),
      /the passphrase is wrong/,
    );
  });
});
