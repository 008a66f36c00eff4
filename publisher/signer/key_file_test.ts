import assert from "node:assert/strict";
import { createPrivateKey } from "node:crypto";
import { formatPrivateKeyPem, generateKey } from "@nix-ota/common";
import { checkKeyFile, type KeyFileFacts, otherKind, readSigner } from "./key_file.ts";
import { encryptPkcs8, PBKDF2_ROUNDS } from "./pbes2.ts";

const GOOD: KeyFileFacts = {
  path: "./sign.key",
  realPath: "/home/ada/sign.key",
  isFile: true,
  mode: 0o100600,
  owners: [1000, 1000],
  uid: 1000,
};

Deno.test("checkKeyFile() wants a key that only its owner can have read", async (t) => {
  const rows: [name: string, changed: Partial<KeyFileFacts>, says: RegExp | null][] = [
    ["0600", {}, null],
    ["0400", { mode: 0o100400 }, null],
    ["root's, such as a secret that systemd passes", { owners: [0, 0] }, null],
    ["a link of root to the user's own", { owners: [0, 1000] }, null],
    ["group can read", { mode: 0o100640 }, /found 0640 \(chmod 600 \.\/sign\.key\)/],
    ["others can read", { mode: 0o100604 }, /found 0604/],
    ["others can write", { mode: 0o100602 }, /found 0602/],
    ["group can run", { mode: 0o100610 }, /found 0610/],
    ["another user's", { owners: [1001, 1001] }, /belongs to another user/],
    ["another user's link", { owners: [1001, 1000] }, /the link to it, belongs to another user/],
    ["in the store", { realPath: "/nix/store/x-key", mode: 0o100600 }, /in the Nix store, where everybody can read/],
    ["a socket", { isFile: false }, /not a regular file/],
  ];
  for (const [name, changed, says] of rows) {
    await t.step(name, () => {
      const check = (): void => checkKeyFile({ ...GOOD, ...changed });
      if (says === null) check();
      else assert.throws(check, says);
    });
  }
});

Deno.test("otherKind() knows what people give by mistake", () => {
  assert.match(otherKind("ssh-ed25519 AAAA me") ?? "", /public key/);
  assert.match(otherKind("-----BEGIN OPENSSH PRIVATE KEY-----") ?? "", /OpenSSH/);
  assert.match(otherKind("-----BEGIN PUBLIC KEY-----") ?? "", /public key/);
  assert.match(otherKind(`cache-1:${"A".repeat(86)}==\n`) ?? "", /binary cache/);
  assert.equal(otherKind("-----BEGIN PRIVATE KEY-----"), null);
});

Deno.test("readSigner() reads what encryptPkcs8() wrote, and OpenSSL's reader does, too", async () => {
  const { pkcs8, signer } = await generateKey();
  const file = await Deno.makeTempFile();
  try {
    const passphrase = "pässphrase with blanks";
    const pem = await encryptPkcs8(pkcs8, passphrase);
    await Deno.writeTextFile(file, pem);
    await Deno.chmod(file, 0o600);
    const asked: string[] = [];
    const read = await readSigner(file, (path) => {
      asked.push(path);
      return Promise.resolve(passphrase);
    });
    assert.deepEqual(read.publicKey.bytes, signer.publicKey.bytes);
    assert.deepEqual(asked, [file]);
    assert.equal(createPrivateKey({ key: pem, passphrase }).asymmetricKeyType, "ed25519");
    await assert.rejects(readSigner(file, () => Promise.resolve("wrong")), (error) => {
      assert.ok(error instanceof Error);
      assert.match(error.message, /the passphrase is wrong, or the file is damaged/);
      assert.equal(error.cause, undefined);
      return true;
    });
  } finally {
    await Deno.remove(file);
  }
});

Deno.test("encryptPkcs8() makes guessing slow and never repeats itself", async () => {
  assert.ok(PBKDF2_ROUNDS >= 600_000);
  const { pkcs8 } = await generateKey();
  assert.notEqual(await encryptPkcs8(pkcs8, "a"), await encryptPkcs8(pkcs8, "a"));
});

Deno.test("readSigner() refuses a damaged key without quoting it", async () => {
  const { pkcs8 } = await generateKey();
  const pem = formatPrivateKeyPem(pkcs8);
  const [, body = ""] = pem.split("\n");
  const file = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(file, pem.replace(body, `${body.slice(0, 8)}AAAA${body.slice(12)}`));
    await Deno.chmod(file, 0o600);
    const never = (): Promise<string> => Promise.reject(new Error("asked"));
    await assert.rejects(readSigner(file, never), (error) => {
      assert.ok(error instanceof Error);
      assert.ok(!error.message.includes(body.slice(30)));
      return true;
    });
  } finally {
    await Deno.remove(file);
  }
});
