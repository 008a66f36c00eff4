import assert from "node:assert/strict";
import { generateKey } from "@nix-ota/common";
import { type Config, ConfigError, parseConfig, readConfig, showConfig } from "./config.ts";
import { denoFiles } from "./system_deno.ts";

const KEY = "JCZw9fhRTlZTn0DYa8p6U0Yy1xVqQ0eTz1SnFuNQQCQ=";
const DEFAULTS = { hostName: "fridge-007", system: "x86_64-linux" };

async function someKey(): Promise<string> {
  const { signer } = await generateKey();
  return signer.publicKey.bytes.toBase64();
}

const [KEY_A, KEY_B] = await Promise.all([someKey(), someKey()]);
const CACHE_KEY = `cache-1:${KEY_A}`;
const GOOD = { server: "https://ota.example.org", channel: "prod", publicKey: KEY_A };

function parse(changes: Record<string, unknown> = {}): Config {
  return parseConfig(JSON.stringify({ ...GOOD, ...changes }), DEFAULTS);
}

Deno.test("parseConfig() fills in the defaults", () => {
  const config = parse();
  assert.equal(config.fleet, "default");
  assert.equal(config.deviceId, "fridge-007");
  assert.equal(config.system, "x86_64-linux");
  assert.equal(config.stateDir, "/nix/var/nix-ota");
  assert.equal(config.profile, "/nix/var/nix/profiles/system");
  assert.equal(config.threshold, 1);
  assert.equal(config.allowHttp, false);
  assert.equal(config.pollSeconds, 60);
  assert.equal(config.cache, null);
});

Deno.test("parseConfig() takes everything that is allowed", async (t) => {
  const cases: readonly (readonly [string, Record<string, unknown>])[] = [
    ["two of three keys", { publicKey: null, publicKeys: [KEY_A, KEY_B], threshold: 2 }],
    ["a named key", { publicKey: `fleet-1:${KEY_A}` }],
    ["http where it is allowed", { server: "http://10.0.0.1:8080", allowHttp: true }],
    ["a path in the server's URL", { server: "https://example.org/ota/" }],
    ["a cache", { cacheUrl: "https://cache.example.org", cachePublicKey: CACHE_KEY }],
    ["a store of its own", { store: "/mnt/root" }],
    ["the daemon", { store: "daemon" }],
    ["a token file", { enrolTokenFile: "/run/secrets/token" }],
  ];
  for (const [name, changes] of cases) await t.step(name, () => void parse(changes));
});

Deno.test("parseConfig() leaves no slash at the end of the server's URL", () => {
  assert.equal(parse({ server: "https://example.org/ota/" }).server, "https://example.org/ota");
  assert.equal(parse({ server: "https://example.org/" }).server, "https://example.org");
});

/** A change that makes the configuration unusable, and what the sentence has to name. */
const BAD: readonly (readonly [string, Record<string, unknown>, RegExp])[] = [
  ["an unknown key", { chanel: "prod" }, /unknown key "chanel".*known:.*channel/],
  ["no server", { server: undefined }, /server must be the server's URL.*found nothing/],
  ["a server that is no URL", { server: "ota.example.org" }, /server must be.*found "ota.example.org"/],
  ["another scheme", { server: "ftp://x" }, /server must be/],
  ["a number as server", { server: 7 }, /server must be.*found 7/],
  ["a password in the server's URL", { server: "https://a:b@x.example" }, /server must not hold a user name/],
  ["a query in the server's URL", { server: "https://x.example/?a=1" }, /server must be.*without \? and #/],
  ["a blank in the server's URL", { server: "https://x.example /" }, /server must be/],
  ["http that is not allowed", { server: "http://x.example" }, /server must begin with https:.*allowHttp/],
  ["no channel", { channel: undefined }, /channel must be 1 to 63 characters/],
  ["a channel with a slash", { channel: "a/b" }, /channel must be.*found "a\/b"/],
  ["a fleet in capitals", { fleet: "Prod" }, /fleet must be/],
  ["a device name with a dot", { deviceId: "a.b" }, /deviceId must be/],
  ["no key", { publicKey: undefined }, /publicKey is missing.*keygen/],
  ["a key that is none", { publicKey: "abc" }, /publicKey is not usable/],
  ["a key with an altered letter", { publicKey: KEY.replace("=", "") }, /publicKey is not usable/],
  ["a key that is text too long", { publicKey: "A".repeat(5000) }, /publicKey must be text of at most 1024/],
  ["both forms of keys", { publicKeys: [KEY_A] }, /publicKey must not be given beside publicKeys/],
  ["no keys in the list", { publicKey: null, publicKeys: [] }, /publicKeys must have 1 to 16 items, found 0/],
  [
    "one key twice",
    { publicKey: null, publicKeys: [KEY_A, `x:${KEY_A}`], threshold: 2 },
    /publicKeys must not hold one key twice/,
  ],
  [
    "several keys without a threshold",
    { publicKey: null, publicKeys: [KEY_A, KEY_B] },
    /threshold is missing.*of the 2 keys/,
  ],
  [
    "a threshold above the number of keys",
    { publicKey: null, publicKeys: [KEY_A, KEY_B], threshold: 3 },
    /threshold must be at most 2.*found 3/,
  ],
  ["a threshold of 0", { threshold: 0 }, /threshold must be an integer from 1/],
  ["half a threshold", { threshold: 1.5 }, /threshold must be an integer/],
  ["a cache without its key", { cacheUrl: "https://c.example" }, /cachePublicKey is missing/],
  ["a cache key without its cache", { cachePublicKey: CACHE_KEY }, /cacheUrl is missing/],
  ["a cache with a query, which could turn signatures off", {
    cacheUrl: "https://c.example?trusted=1",
    cachePublicKey: CACHE_KEY,
  }, /cacheUrl is not usable.*query/],
  ["a cache over http", { cacheUrl: "http://c.example", cachePublicKey: CACHE_KEY }, /cacheUrl must begin with https/],
  ["a cache that is a file", { cacheUrl: "file:///c", cachePublicKey: CACHE_KEY }, /cacheUrl is not usable/],
  [
    "a secret cache key",
    { cacheUrl: "https://c.example", cachePublicKey: `c:${btoa("x".repeat(64))}` },
    /cachePublicKey is not usable.*secret key/,
  ],
  ["an empty health check", { healthCmd: "" }, /healthCmd must be a shell command/],
  ["a health check that is a list", { healthCmd: ["a"] }, /healthCmd must be.*found a list/],
  ["a system that is none", { system: "linux" }, /system must be a Nix system/],
  ["a relative state directory", { stateDir: "state" }, /stateDir must be an absolute path.*found "state"/],
  ["a state directory with ..", { stateDir: "/nix/../etc" }, /stateDir must be an absolute path/],
  ["a profile with a line end", { profile: "/nix/x\n" }, /profile must be an absolute path/],
  ["a store with parameters", { store: "/x?trusted=1" }, /store must be null/],
  ["a store over ssh", { store: "ssh://x" }, /store must be null/],
  ["polling too often", { pollSeconds: 1 }, /pollSeconds must be an integer from 5/],
  ["polling never", { pollSeconds: 1e12 }, /pollSeconds must be an integer/],
  ["a time-out of text", { switchTimeoutSeconds: "600" }, /switchTimeoutSeconds must be an integer.*found "600"/],
  ["allowHttp as text", { allowHttp: "yes" }, /allowHttp must be true or false, found "yes"/],
  [
    "a token file in the store",
    { enrolTokenFile: "/nix/store/x/token" },
    /enrolTokenFile must not be in the Nix store/,
  ],
];

for (const [name, changes, problem] of BAD) {
  Deno.test(`parseConfig() refuses ${name} in one sentence`, () => {
    assert.throws(() => parse(changes), (error: unknown) => {
      assert.ok(error instanceof ConfigError);
      assert.match(error.message, problem);
      assert.match(error.message, /^Cannot /);
      assert.doesNotMatch(error.message, /\n|\.$/);
      return true;
    });
  });
}

Deno.test("parseConfig() refuses what is no JSON object", async (t) => {
  for (const text of ["", "{", "[]", "null", "7", '"x"']) {
    await t.step(JSON.stringify(text), () => assert.throws(() => parseConfig(text, DEFAULTS), ConfigError));
  }
});

Deno.test("parseConfig() says how to name a device whose host name cannot stand in", () => {
  const text = JSON.stringify(GOOD);
  assert.throws(
    () => parseConfig(text, { ...DEFAULTS, hostName: "Fridge.local" }),
    /deviceId is missing.*"Fridge.local"/,
  );
});

Deno.test("parseConfig() never repeats what may be a private key", () => {
  const secret = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----";
  assert.throws(() => parse({ publicKey: secret }), (error: unknown) => {
    assert.ok(error instanceof Error);
    assert.doesNotMatch(error.message, /c2VjcmV0/);
    return true;
  });
});

Deno.test("readConfig() names the file that is missing or wrong", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await assert.rejects(readConfig(denoFiles, `${folder}/none.json`, DEFAULTS), /no such file.*--config/);
    await Deno.writeTextFile(`${folder}/bad.json`, "{}");
    await assert.rejects(readConfig(denoFiles, `${folder}/bad.json`, DEFAULTS), /server must be.*bad\.json/);
    await assert.rejects(readConfig(denoFiles, folder, DEFAULTS), ConfigError);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("showConfig() prints every key, and what it prints is a configuration", () => {
  const shown = JSON.parse(showConfig(parse({ cacheUrl: "https://c.example", cachePublicKey: CACHE_KEY })));
  assert.equal(shown.cacheUrl, "https://c.example");
  assert.deepEqual(shown.publicKeys, [KEY_A]);
  parseConfig(JSON.stringify(shown), DEFAULTS);
});
