import { generateKeyPairSync } from "node:crypto";
import { formatBase64, formatRawPublicKey, generateKey } from "@nix-ota/common";
import { encryptPkcs8 } from "../signer/pbes2.ts";
import { checkRows, type Row } from "../testing/rows.ts";
import type { PublishWorld } from "../testing/world.ts";

/** A row that differs in options only; all of them end with exit code 2. */
function option(
  name: string,
  options: Record<string, string | readonly string[] | true | undefined>,
  says: RegExp,
): Row {
  return { name, given: () => ({ options }), code: 2, says };
}

/** A row with a file that an option names. */
function file(
  name: string,
  flag: string,
  { content, mode = 0o600, says }: { content: string | Uint8Array; mode?: number; says: RegExp },
): Row {
  const given = async (world: PublishWorld): Promise<{ options: Record<string, string> }> => {
    const path = `${world.folder}/given`;
    await Deno.writeFile(path, typeof content === "string" ? new TextEncoder().encode(content) : content, { mode });
    await Deno.chmod(path, mode);
    return { options: { [flag]: path } };
  };
  return { name, given, code: 2, says };
}

Deno.test("publish refuses a server address that is not one", (t) =>
  checkRows(t, [
    option("missing", { server: undefined }, /--server is missing: wanted the address/),
    option("empty", { server: "" }, /--server is missing/),
    option("no URL", { server: "ota" }, /--server must be an http or https URL .*found "ota"/),
    option("another scheme", { server: "ftp://ota.example.org" }, /must be an http or https URL/),
    option("with a password", { server: "https://ada:geheim@ota.example.org" }, /must have no user name or password/),
    option("with a query", { server: "https://ota.example.org/?a=1" }, /must have no \? or #/),
    option("plain http to another machine", { server: "http://ota.example.org" }, /must be https.*add --allow-http/),
    option("huge", { server: `https://${"a".repeat(600)}.org` }, /must be an http or https URL .*…"/),
    option("another option in its place", { server: "--token" }, /--server needs a value, found the option --token/),
    option("twice", { server: ["http://127.0.0.1:1", "http://127.0.0.1:2"] }, /--server is given twice/),
  ]));

Deno.test("publish refuses a token that cannot be one", (t) =>
  checkRows(t, [
    option("missing", { "token-file": undefined }, /--token-file is missing: wanted a file with the access token/),
    option("in two places", { token: "a" }, /--token and --token-file are both given/),
    option(
      "a file that is not there",
      { "token-file": "/nonexistent" },
      /token file "\/nonexistent": it does not exist/,
    ),
    option("a directory", { "token-file": "/" }, /token file "\/": it is a directory/),
    file("an empty file", "token-file", { content: "\n", says: /--token-file is empty/ }),
    file("two lines", "token-file", { content: "one\ntwo\n", says: /--token-file holds no access token/ }),
    file("no text", "token-file", { content: Uint8Array.of(0xff, 0xfe), says: /token file as it is not text/ }),
    file("huge", "token-file", { content: "x".repeat(5000), says: /as it has more than 1024 bytes/ }),
    {
      name: "empty stdin",
      given: () => ({ options: { "token-file": undefined, token: "-" }, run: { stdin: "" } }),
      code: 2,
      says: /--token - is empty/,
    },
    {
      name: "a file of the environment that is not there",
      given: () => ({ options: { "token-file": undefined }, run: { env: { NIX_OTA_TOKEN_FILE: "/nonexistent" } } }),
      code: 2,
      says: /token file "\/nonexistent": it does not exist/,
    },
    {
      name: "but takes one from stdin",
      given: ({ control }) => ({
        options: { "token-file": undefined, token: "-" },
        run: { stdin: `${control.token}\n` },
      }),
      code: 0,
      says: /published/,
    },
    {
      name: "and server and token file from the environment",
      given: ({ control, tokenFile }) => ({
        options: { server: undefined, "token-file": undefined },
        run: { env: { NIX_OTA_SERVER: `${control.url}/`, NIX_OTA_TOKEN_FILE: tokenFile } },
      }),
      code: 0,
      says: /published/,
    },
  ]));

const RSA = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({ type: "pkcs8", format: "pem" });

Deno.test("publish refuses keys that are none, or that others can read", (t) =>
  checkRows(t, [
    option("missing", { key: undefined }, /--key is missing/),
    option("not there", { key: "/nonexistent" }, /Cannot use the key "\/nonexistent": it does not exist/),
    option("a directory", { key: "/tmp" }, /Cannot use the key "\/tmp": it is not a regular file/),
    option("too many", { key: Array.from({ length: 17 }, (_, at) => `/k${at}`) }, /--key is given 17 times/),
    {
      name: "readable by others",
      given: async ({ keyFile }) => {
        await Deno.chmod(keyFile, 0o640);
        return {};
      },
      code: 2,
      says: /others can read or change it: wanted the mode 0600, found 0640 \(chmod 600 /,
    },
    file("empty", "key", { content: "", says: /it holds no Ed25519 key in PKCS#8 PEM/ }),
    file("no text", "key", { content: Uint8Array.of(0xff, 0x00), says: /it is not a text file/ }),
    file("huge", "key", { content: "x".repeat(20_000), says: /more than 16384 bytes and so is no key/ }),
    file("a public key", "key", {
      content: "ssh-ed25519 AAAA x\n",
      says: /it is a public key \(give the file without/,
    }),
    file("an OpenSSH key", "key", {
      content: "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n",
      says: /it is an OpenSSH key: wanted PKCS#8 PEM/,
    }),
    file("a cache's secret key", "key", {
      content: `cache-1:${formatBase64(new Uint8Array(64))}\n`,
      says: /it is the secret key of a binary cache/,
    }),
    file("an RSA key", "key", { content: String(RSA), says: /it holds no Ed25519 key/ }),
  ]));

Deno.test("publish asks for passphrases only where it can, and keeps them", (t) => {
  const pem = generateKey().then(({ pkcs8 }) => encryptPkcs8(pkcs8, "correct horse"));
  const encrypted = async ({ folder }: PublishWorld): Promise<string> => {
    await Deno.writeTextFile(`${folder}/enc.key`, await pem, { mode: 0o600 });
    return `${folder}/enc.key`;
  };
  const withFile = (content: string) => async (world: PublishWorld): Promise<{ options: Record<string, string> }> => {
    await Deno.writeTextFile(`${world.folder}/passphrase`, content);
    return { options: { key: await encrypted(world), "passphrase-file": `${world.folder}/passphrase` } };
  };
  return checkRows(t, [
    {
      name: "no terminal and no file",
      given: async (world) => ({ options: { key: await encrypted(world) } }),
      code: 2,
      says: /it is encrypted and stdin is no terminal .*\(give --passphrase-file\)/,
    },
    { name: "the right one", given: withFile("correct horse\n"), code: 0, says: /published/ },
    { name: "a wrong one", given: withFile("wrong horse\n"), code: 2, says: /the passphrase is wrong, or the file is/ },
    { name: "an empty file", given: withFile("\n"), code: 2, says: /passphrase file .* as it is empty/ },
    { name: "two lines", given: withFile("a\nb\n"), code: 2, says: /passphrase file .* more than one line/ },
    {
      name: "a file that is not there",
      given: async (world) => ({ options: { key: await encrypted(world), "passphrase-file": "/nonexistent" } }),
      code: 2,
      says: /passphrase file "\/nonexistent": it does not exist/,
    },
  ]);
});

Deno.test("publish refuses names, numbers and texts beyond their limits", (t) =>
  checkRows(t, [
    option("no channel", { channel: undefined }, /--channel is missing/),
    option("upper case", { channel: "Prod" }, /--channel must be 1 to 63 characters a-z.*found "Prod"/),
    option("a long channel", { channel: "a".repeat(64) }, /--channel must be/),
    option("a channel that is a path", { channel: "../x" }, /--channel must be/),
    option("a channel with a line feed", { channel: "a\nb" }, /--channel must be .*found "a\\nb"/),
    option("a fleet", { fleet: "_" }, /--fleet must be/),
    option("a system", { system: "linux" }, /--system must be a Nix system/),
    option("a mode", { mode: "now" }, /--mode must be one of auto, switch, boot, reboot, found "now"/),
    option("too little health", { "health-seconds": "29" }, /--health-seconds must be a whole number from 30 to 3600/),
    option("too much health", { "health-seconds": "3601" }, /--health-seconds must be/),
    option("health in words", { "health-seconds": "1e2" }, /--health-seconds must be .*found "1e2"/),
    option("expires", { expires: "never" }, /--expires: Cannot read the duration "never": wanted such as 90s/),
    option("expires too late", { expires: "401d" }, /--expires must be at most 400d, found "401d"/),
    option("long notes", { notes: "x".repeat(1025) }, /--notes must have at most 1024 characters, found 1025/),
    option("revision 0", { revision: "0" }, /--revision must be a whole number from 1 to 9007199254740991, found "0"/),
    option("revision 2^53", { revision: "9007199254740992" }, /--revision must be/),
    option("an unknown option", { chanel: "prod" }, /There is no option --chanel \(did you mean --channel\?\)/),
    option("--wait without sending", { wait: true, "dry-run": true }, /--wait and --dry-run are both given/),
    option("--wait-timeout alone", { "wait-timeout": "5m" }, /--wait-timeout means nothing without --wait/),
    option("--wait-timeout", { wait: true, "wait-timeout": "5" }, /--wait-timeout: Cannot read the duration "5"/),
    option("--fail-on", { wait: true, "fail-on": "some" }, /--fail-on must be one of any, all, found "some"/),
    option("--out that is a folder", { out: "/tmp/" }, /--out must name a file/),
    option(
      "--out in no folder",
      { out: "/nonexistent/x" },
      /--out cannot be written in "\/nonexistent": it does not exist/,
    ),
    option("--trust", { trust: "AAAA" }, /--trust: Cannot read the public key/),
  ]));

Deno.test("publish refuses caches and cache keys that it should not sign", (t) =>
  checkRows(t, [
    option("no cache", { substituter: undefined }, /--substituter is missing/),
    option(
      "a cache with settings",
      { substituter: "https://c.example.org?trusted=1" },
      /--substituter: Cannot use the sub/,
    ),
    option("a folder", { substituter: "file:///cache" }, /wanted the scheme https/),
    option("nine caches", { substituter: Array.from({ length: 9 }, (_, n) => `https://c${n}.org`) }, /given 9 times/),
    option("one cache twice", { substituter: ["https://c.org", "https://c.org/"] }, /names the same cache twice/),
    option("a damaged key", { "substituter-key": "cache-1:AAAA" }, /--substituter-key: Cannot read the cache key/),
    option("a secret key", { "substituter-key": `a:${formatBase64(new Uint8Array(64))}` }, /as it is a secret key/),
    {
      name: "five keys",
      given: ({ signer }) => {
        const key = formatRawPublicKey(signer.publicKey);
        return { options: { "substituter-key": [1, 2, 3, 4, 5].map((n) => `k-${n}:${key}`) } };
      },
      code: 2,
      says: /--substituter-key is given 5 times: wanted at most 4/,
    },
    {
      name: "no key: it says which one is wanted",
      given: () => ({ options: { "substituter-key": undefined } }),
      code: 2,
      says: /--substituter-key is missing: the cache signs with cache-1 \(add --substituter-key cache-1:<base64>\)/,
    },
  ]));
