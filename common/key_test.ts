import assert from "node:assert/strict";
import { concatBytes, formatBase64, formatHex } from "./base64.ts";
import { encodeUtf8 } from "./canonical.ts";
import { verifyEd25519 } from "./ed25519.ts";
import {
  FINGERPRINT_PATTERN,
  fingerprintOf,
  formatOpenSshPublicKey,
  formatPrivateKeyPem,
  formatRawPublicKey,
  generateKey,
  KEY_TEXT_MAX,
  parsePrivateKeyPem,
  parsePublicKey,
  signerFromPkcs8,
} from "./key.ts";
import { PKCS8_PREFIX, testSigner } from "./testing/documents.ts";
import { fromHex } from "./testing/random.ts";

/** Made by `ssh-keygen -t ed25519 -C 'ops@example.org laptop'`; its private half is gone. */
const SSH_LINE =
  "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIG/DfctLqwltynpLjP4yHwx8Lla45KHZsurdP/IdCOl3 ops@example.org laptop";
const SSH_BLOB = SSH_LINE.split(" ")[1] ?? "";
/** What `ssh-keygen -lf` printed of it. */
const SSH_FINGERPRINT = "SHA256:ZhBEOPi1vEEkuMF2q/pUWbK8OA3j2GbhAmvL4raPM9I";
const RAW = "b8N9y0urCW3KekuM/jIfDHwuVrjkodmy6t0/8h0I6Xc=";

const READ: readonly [what: string, text: string, name: string | null][] = [
  ["an OpenSSH line", SSH_LINE, "ops@example.org laptop"],
  ["an OpenSSH line without a comment", `ssh-ed25519 ${SSH_BLOB}`, null],
  ["an OpenSSH line with its line end", `${SSH_LINE}\n`, "ops@example.org laptop"],
  ["an OpenSSH line with a line end of Windows", `${SSH_LINE}\r\n`, "ops@example.org laptop"],
  ["an OpenSSH line with tabs and blanks", ` ssh-ed25519 \t ${SSH_BLOB}\t  me`, "me"],
  ["an OpenSSH line with escapes in its comment", `ssh-ed25519 ${SSH_BLOB} \x1b[31mred\u202e`, "red"],
  ["32 bytes in base64", RAW, null],
  ["32 bytes in base64 with blanks around", `\t${RAW} \n`, null],
  ["a name and 32 bytes", `release-2026.a_b:${RAW}`, "release-2026.a_b"],
];

for (const [what, text, name] of READ) {
  Deno.test(`parsePublicKey() reads ${what}`, () => {
    const key = parsePublicKey(text);
    assert.equal(formatRawPublicKey(key), RAW);
    assert.equal(key.name, name);
  });
}

Deno.test("fingerprintOf() and formatOpenSshPublicKey() print what ssh-keygen does", async () => {
  const key = parsePublicKey(SSH_LINE);
  assert.equal(await fingerprintOf(key), SSH_FINGERPRINT);
  assert.match(SSH_FINGERPRINT, FINGERPRINT_PATTERN);
  assert.equal(formatOpenSshPublicKey(key), SSH_LINE);
  assert.equal(formatOpenSshPublicKey(parsePublicKey(RAW)), `ssh-ed25519 ${SSH_BLOB}`);
});

Deno.test("formatOpenSshPublicKey() writes one line whatever the name", () => {
  const key = { ...parsePublicKey(RAW), name: "a\nssh-ed25519 AAAA b\x1b[0m" };
  assert.equal(formatOpenSshPublicKey(key), `ssh-ed25519 ${SSH_BLOB} a ssh-ed25519 AAAA b`);
  assert.equal(formatOpenSshPublicKey({ ...key, name: "\n" }), `ssh-ed25519 ${SSH_BLOB}`);
});

async function hasSshKeygen(): Promise<boolean> {
  try {
    await new Deno.Command("ssh-keygen", { args: ["-?"], stdout: "null", stderr: "null" }).output();
    return true;
  } catch {
    return false;
  }
}

Deno.test({
  name: "keys made here are read by ssh-keygen, and its keys here",
  ignore: !await hasSshKeygen(),
  fn: async () => {
    const folder = await Deno.makeTempDir();
    const sshKeygen = async (...args: string[]): Promise<string> => {
      const { success, stdout } = await new Deno.Command("ssh-keygen", { args, cwd: folder, stderr: "null" }).output();
      assert.ok(success, args.join(" "));
      return new TextDecoder().decode(stdout);
    };
    try {
      const { signer } = await generateKey("made here");
      await Deno.writeTextFile(`${folder}/ours.pub`, formatOpenSshPublicKey(signer.publicKey));
      const ours = await fingerprintOf(signer.publicKey);
      assert.equal(await sshKeygen("-lf", "ours.pub"), `256 ${ours} made here (ED25519)\n`);
      await sshKeygen("-q", "-t", "ed25519", "-N", "", "-C", "theirs", "-f", "theirs");
      const theirs = parsePublicKey(await Deno.readTextFile(`${folder}/theirs.pub`));
      assert.equal(await sshKeygen("-lf", "theirs.pub"), `256 ${await fingerprintOf(theirs)} theirs (ED25519)\n`);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

Deno.test("FINGERPRINT_PATTERN takes a whole fingerprint and nothing around it", () => {
  for (
    const other of [` ${SSH_FINGERPRINT}`, `${SSH_FINGERPRINT}=`, `${SSH_FINGERPRINT}\n`, SSH_FINGERPRINT.slice(0, -1)]
  ) {
    assert.doesNotMatch(other, FINGERPRINT_PATTERN);
  }
});

Deno.test("parsePublicKey() reads a text of 1024 characters and not one more", () => {
  const line = SSH_LINE.padEnd(KEY_TEXT_MAX, "x");
  assert.equal(formatRawPublicKey(parsePublicKey(line)), RAW);
  assert.throws(() => parsePublicKey(`${line}x`), /too long/);
});

Deno.test("parsePublicKey() names the mistake where a private or secret key was pasted", () => {
  const pem = formatPrivateKeyPem(concatBytes(PKCS8_PREFIX, SECRET));
  assert.throws(() => parsePublicKey(pem), /this is a private key \(give the \.pub file\)/);
  assert.throws(() => parsePublicKey(`a:${formatBase64(new Uint8Array(64))}`), /looks like a secret key of 64 bytes/);
});

function damaged(change: (blob: string[]) => void): string {
  const blob = SSH_BLOB.split("");
  change(blob);
  return `ssh-ed25519 ${blob.join("")}`;
}

const REFUSED: readonly [what: string, text: string, why: RegExp][] = [
  ["nothing", "", /wanted/],
  ["blanks", " \n ", /wanted/],
  ["a word", "hello", /wanted/],
  ["a name without a key", "release:", /wanted/],
  ["another SSH type", `ssh-rsa ${SSH_BLOB}`, /wanted/],
  ["a security-key type", `sk-ssh-ed25519@openssh.com ${SSH_BLOB}`, /wanted/],
  ["a certificate type", `ssh-ed25519-cert-v01@openssh.com ${SSH_BLOB}`, /wanted/],
  ["an SSH type without a key", "ssh-ed25519 ", /wanted/],
  ["an OpenSSH line that is cut", SSH_LINE.slice(0, 60), /damaged/],
  ["an OpenSSH line with another type inside", damaged((blob) => blob.splice(6, 1, "x")), /damaged/],
  ["an OpenSSH line with one byte more", `ssh-ed25519 ${SSH_BLOB}AAAA`, /damaged/],
  ["options of authorized_keys", `no-pty ${SSH_LINE}`, /wanted/],
  ["two OpenSSH lines", `${SSH_LINE}\n${SSH_LINE}`, /several lines/],
  ["two raw keys", `${RAW}\n${RAW}`, /several lines/],
  ["two raw keys on one line", `${RAW} ${RAW}`, /wanted/],
  ["a name with a blank", `a b:${RAW}`, /name before the colon/],
  ["an empty name", `:${RAW}`, /name before the colon/],
  ["a name of 129 characters", `${"a".repeat(129)}:${RAW}`, /name before the colon/],
  ["a name with a slash", `a/b:${RAW}`, /name before the colon/],
  ["base64 without padding", RAW.slice(0, -1), /wanted/],
  ["URL-safe base64", RAW.replaceAll("/", "_"), /wanted/],
  ["base64 with loose bits", RAW.replace("Xc=", "Xd="), /wanted/],
  ["hexadecimal", formatHex(parsePublicKey(RAW).bytes), /wanted/],
  ["31 bytes", formatBase64(new Uint8Array(31).fill(1)), /wanted/],
  ["33 bytes", formatBase64(new Uint8Array(33).fill(1)), /wanted/],
  ["the DER of a public key", "MCowBQYDK2VwAyEAb8N9y0urCW3KekuM/jIfDHwuVrjkodmy6t0/8h0I6Xc=", /wanted/],
  ["a point of small order", formatBase64(new Uint8Array(32)), /not a safe Ed25519 point/],
  ["a point that is not canonical", formatBase64(new Uint8Array(32).fill(0xff)), /not a safe Ed25519 point/],
  ["a text too long", `${SSH_LINE} ${"x".repeat(KEY_TEXT_MAX)}`, /too long/],
  ["a text of a megabyte", "A".repeat(1_000_000), /too long/],
];

for (const [what, text, why] of REFUSED) {
  Deno.test(`parsePublicKey() refuses ${what}`, () => {
    assert.throws(
      () => parsePublicKey(text),
      (error) => error instanceof TypeError && why.test(error.message) && error.message.length < 300,
    );
  });
}

/** A private key as each tool writes it, and the part that must not be seen again. */
const SECRET = new Uint8Array(32).fill(0x5a);
const SECRET_BASE64 = formatBase64(concatBytes(PKCS8_PREFIX, SECRET));
const PASTED: readonly [what: string, text: string][] = [
  ["PKCS#8 PEM", formatPrivateKeyPem(concatBytes(PKCS8_PREFIX, SECRET))],
  ["PKCS#8 without its frame", SECRET_BASE64],
  ["PKCS#8 with a name", `release:${SECRET_BASE64}`],
  [
    "an OpenSSH private key",
    `-----BEGIN OPENSSH PRIVATE KEY-----\n${SECRET_BASE64}\n-----END OPENSSH PRIVATE KEY-----`,
  ],
  ["a long RSA key", `-----BEGIN RSA PRIVATE KEY-----\n${SECRET_BASE64.repeat(30)}\n-----END RSA PRIVATE KEY-----`],
  ["an encrypted key", `-----BEGIN ENCRYPTED PRIVATE KEY-----\n${SECRET_BASE64}\n-----END ENCRYPTED PRIVATE KEY-----`],
  ["a secret key of Nix", `cache-1:${formatBase64(concatBytes(SECRET, SECRET))}`],
  ["a secret key of libsodium", formatBase64(concatBytes(SECRET, SECRET))],
  ["the seed in hexadecimal", formatHex(SECRET)],
];

for (const [what, text] of PASTED) {
  Deno.test(`parsePublicKey() does not quote a private key pasted by mistake: ${what}`, () => {
    assert.throws(() => parsePublicKey(text), (error) => {
      assert.ok(error instanceof TypeError);
      const told = `${error.message} ${error.stack} ${String(error.cause)}`;
      assert.doesNotMatch(told, /Wlpa|5a5a|MC4C/); // 0x5a5a5a in base64 and hexadecimal; the beginning of PKCS#8.
      return true;
    });
  });
}

/** RFC 8032's first secret key as `openssl pkey` prints it. */
const PEM = "-----BEGIN PRIVATE KEY-----\n" +
  "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";
const RFC_PUBLIC = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

Deno.test("parsePrivateKeyPem() and signerFromPkcs8() read what openssl writes", async () => {
  const pkcs8 = parsePrivateKeyPem(PEM);
  const signer = await signerFromPkcs8(pkcs8, "ops");
  assert.equal(formatHex(signer.publicKey.bytes), RFC_PUBLIC);
  assert.equal(signer.publicKey.name, "ops");
  assert.equal(formatPrivateKeyPem(pkcs8), PEM);
  const same = [PEM.trimEnd(), PEM.replaceAll("\n", "\r\n"), PEM.replace("MC4C", "MC4C\n")];
  for (const text of same) assert.deepEqual(parsePrivateKeyPem(text), pkcs8);
});

const BAD_PEMS: readonly [what: string, text: string][] = [
  ["nothing", ""],
  ["a public key", PEM.replaceAll("PRIVATE", "PUBLIC")],
  ["an encrypted key", PEM.replaceAll("PRIVATE", "ENCRYPTED PRIVATE")],
  ["an OpenSSH key", PEM.replaceAll("PRIVATE", "OPENSSH PRIVATE")],
  ["no end", PEM.slice(0, 80)],
  ["text before", `x\n${PEM}`],
  ["text after", `${PEM}x`],
  ["two keys", PEM + PEM],
  ["an empty body", "-----BEGIN PRIVATE KEY-----\n\n-----END PRIVATE KEY-----\n"],
  ["blanks in the body", PEM.replace("MC4C", "MC 4C")],
  ["a body that is not base64", PEM.replace("MC4C", "MC4C=")],
];

for (const [what, text] of BAD_PEMS) {
  Deno.test(`parsePrivateKeyPem() refuses ${what} and quotes nothing`, () => {
    assert.throws(() => parsePrivateKeyPem(text), (error) => {
      assert.ok(error instanceof TypeError);
      assert.doesNotMatch(error.message, /MC4|Ytb/);
      return true;
    });
  });
}

const BAD_PKCS8: readonly [what: string, hex: string][] = [
  ["nothing", ""],
  ["zeros", "00".repeat(48)],
  ["a seed of 31 bytes", `302d020100300506032b65700421041f${"5a".repeat(31)}`],
  ["X25519", `302e020100300506032b656e04220420${"5a".repeat(32)}`],
  ["Ed448", `3047020100300506032b6571043b0439${"5a".repeat(57)}`],
  ["a cut key", `302e020100300506032b657004220420${"5a".repeat(20)}`],
];

for (const [what, hex] of BAD_PKCS8) {
  Deno.test(`signerFromPkcs8() refuses ${what} and quotes nothing`, async () => {
    await assert.rejects(
      () => signerFromPkcs8(fromHex(hex)),
      (error) => error instanceof TypeError && error.cause === undefined && !/5a5a|Wlpa/.test(error.message),
    );
  });
}

Deno.test("generateKey() makes another key each time, whose kept half makes the same signer", async () => {
  const message = encodeUtf8("message");
  const { pkcs8, signer } = await generateKey("new");
  const again = await signerFromPkcs8(parsePrivateKeyPem(formatPrivateKeyPem(pkcs8)), "new");
  assert.deepEqual(again.publicKey, signer.publicKey);
  assert.deepEqual(await again.sign(message), await signer.sign(message));
  assert.equal(await verifyEd25519(signer.publicKey.bytes, message, await signer.sign(message)), true);
  assert.notDeepEqual((await generateKey()).signer.publicKey.bytes, signer.publicKey.bytes);
});

Deno.test("a signer does not show its private key", async () => {
  const signer = await testSigner(0x5a);
  assert.doesNotMatch(`${JSON.stringify(signer)} ${Deno.inspect(signer, { depth: 9 })}`, /90,\s*90,\s*90|5a5a|Wlpa/);
});
