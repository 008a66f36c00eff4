import assert from "node:assert/strict";
import { formatOpenSshPublicKey, formatRawPublicKey } from "@nix-ota/common";
import { runNixOta } from "../testing/cli.ts";
import { makeKeyFile, makeWorld } from "../testing/world.ts";

Deno.test("verify and inspect tell a good release from one that only looks like it", async (t) => {
  await using world = await makeWorld();
  const file = `${world.folder}/release.json`;
  assert.equal((await world.publish({ out: file, notes: "openssl" })).code, 0);
  const key = formatRawPublicKey(world.signer.publicKey);
  const other = formatRawPublicKey((await makeKeyFile(`${world.folder}/other.key`)).publicKey);
  const pub = `${world.folder}/sign.pub`;
  await Deno.writeTextFile(pub, `${formatOpenSshPublicKey(world.signer.publicKey)}\n`);
  const text = await Deno.readTextFile(file);
  const rows: { name: string; args: string[]; stdin?: string; code: number; says: RegExp }[] = [
    { name: "a raw key", args: [file, "--public-key", key], code: 0, says: /^VERIFIED: 1 of 1/ },
    { name: "a .pub file", args: [file, "--public-key", pub], code: 0, says: /^VERIFIED/ },
    { name: "stdin", args: ["-", "--public-key", key], stdin: text, code: 0, says: /^VERIFIED/ },
    { name: "its channel", args: [file, "--public-key", key, "--channel", "prod"], code: 0, says: /^VERIFIED/ },
    { name: "another key", args: [file, "--public-key", other], code: 3, says: /NOT VERIFIED.*0 of 1/ },
    {
      name: "a threshold that is not met",
      args: [file, "--public-key", key, "--public-key", other, "--threshold", "2"],
      code: 3,
      says: /NOT VERIFIED.*1 of 2/,
    },
    {
      name: "another channel",
      args: [file, "--public-key", key, "--channel", "test"],
      code: 3,
      says: /channel "prod"/,
    },
    { name: "another fleet", args: [file, "--public-key", key, "--fleet", "b"], code: 3, says: /fleet "default"/ },
    {
      name: "a changed payload",
      args: ["-", "--public-key", key],
      stdin: text.replace('"payload":"eyJ0', '"payload":"eyJ1'),
      code: 3,
      says: /NOT VERIFIED/,
    },
    { name: "no JSON", args: ["-", "--public-key", key], stdin: "hello", code: 3, says: /it is not JSON/ },
    { name: "no key", args: [file], code: 2, says: /--public-key is missing/ },
    {
      name: "a key twice",
      args: [file, "--public-key", key, "--public-key", pub],
      code: 2,
      says: /the same key twice/,
    },
    {
      name: "a damaged key",
      args: [file, "--public-key", "AAAA"],
      code: 2,
      says: /--public-key: Cannot read the public key/,
    },
    {
      name: "a private key",
      args: [file, "--public-key", world.keyFile],
      code: 2,
      says: /this is a private key \(give the \.pub file\)/,
    },
    {
      name: "no such file",
      args: ["/nonexistent", "--public-key", key],
      code: 2,
      says: /"\/nonexistent": it does not exist/,
    },
    {
      name: "threshold 0",
      args: [file, "--public-key", key, "--threshold", "0"],
      code: 2,
      says: /--threshold must be/,
    },
  ];
  for (const { name, args, stdin = "", code, says } of rows) {
    await t.step(name, async () => {
      const result = await runNixOta(["verify", ...args], { stdin });
      assert.equal(result.code, code, result.stderr);
      assert.match(code === 0 ? result.stdout : result.stderr, says);
    });
  }
  await t.step("inspect says that nothing was verified", async () => {
    const { code, stdout } = await runNixOta(["inspect", file]);
    assert.equal(code, 0);
    assert.match(stdout, /^NOT VERIFIED/);
    assert.match(stdout, /notes +openssl/);
    const json = JSON.parse((await runNixOta(["inspect", "-", "--json"], { stdin: text })).stdout);
    assert.equal(json.verified, false);
    assert.equal(json.release.revision, 1);
  });
});
