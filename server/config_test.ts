import assert from "node:assert/strict";
import { configuredKeys, parseConfig, parseConfigFile } from "./config.ts";

const KEY = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
const OTHER_KEY = "PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=";

Deno.test("parseConfig() has a value for every key", () => {
  const config = parseConfig({});
  assert.deepEqual(config, {
    fleet: "default",
    listen: { hostname: "127.0.0.1", port: 8080 },
    dataDir: "./nix-ota-data",
    publishTokenFile: null,
    publicKeys: [],
    threshold: 1,
    enrolment: "approve",
    enrolTokenFile: null,
    releaseReads: "open",
    pollSeconds: 60,
    behindProxy: false,
    publicUrl: null,
    connectionsMax: 4096,
    connectionsPerAddressMax: 512,
    logLevel: "info",
  });
  assert.equal(configuredKeys(config), null);
});

Deno.test("parseConfig() reads addresses and keys", () => {
  const config = parseConfig({ listen: "[::1]:0", publicKeys: [KEY, `name:${OTHER_KEY}`], threshold: 2 });
  assert.deepEqual(config.listen, { hostname: "::1", port: 0 });
  assert.deepEqual(configuredKeys(config)?.keys.map(({ name }) => name), [null, "name"]);
  assert.deepEqual(parseConfig({ listen: "ota.example.org:443" }).listen, { hostname: "ota.example.org", port: 443 });
});

Deno.test("parseConfig() names the key, what was wanted and what was found", async (t) => {
  const cases: [Record<string, unknown>, RegExp][] = [
    [{ fleets: "x" }, /the configuration has the unknown key "fleets" \(known: fleet, listen,/],
    [{ fleet: "Fleet" }, /fleet must be 1 to 63 characters .*, found "Fleet"/],
    [{ fleet: "" }, /fleet must be .*, found ""/],
    [{ fleet: null }, /fleet must be .*, found null/],
    [{ listen: "8080" }, /listen must be HOST:PORT such as 127\.0\.0\.1:8080 or \[::1\]:8080, found "8080"/],
    [{ listen: ":8080" }, /listen must be HOST:PORT/],
    [{ listen: "127.0.0.1:65536" }, /listen must be HOST:PORT/],
    [{ listen: "::1:8080" }, /listen must be HOST:PORT/],
    [{ listen: "a b:80" }, /listen must be HOST:PORT/],
    [{ listen: 8080 }, /listen must be HOST:PORT .*, found 8080/],
    [{ dataDir: "" }, /dataDir must be a path, found ""/],
    [{ dataDir: "a\0b" }, /dataDir must be a path/],
    [{ publishTokenFile: 1 }, /publishTokenFile must be a path, found 1/],
    [{ publicKeys: KEY }, /publicKeys must be a list, found/],
    [{ publicKeys: ["AAAA"] }, /publicKeys\[0\] must be a public key: .*wanted an OpenSSH line/],
    [{ publicKeys: [7] }, /publicKeys\[0\] must be a public key as text, found 7/],
    [
      { publicKeys: ["-----BEGIN PRIVATE KEY-----"] },
      /publicKeys\[0\] .* this is a private key \(give the \.pub file\)/,
    ],
    [{ publicKeys: [`${"A".repeat(43)}=`] }, /publicKeys\[0\] .* not a safe Ed25519 point/],
    [{ publicKeys: [KEY, KEY] }, /publicKeys names one key twice/],
    [{ publicKeys: [KEY, `name:${KEY}`] }, /publicKeys names one key twice/],
    [{ publicKeys: Array(17).fill(KEY) }, /publicKeys must have 0 to 16 items, found 17/],
    [{ threshold: 0 }, /threshold must be an integer from 1 to 16, found 0/],
    [{ threshold: 1.5 }, /threshold must be an integer/],
    [{ threshold: "2" }, /threshold must be an integer .*, found "2"/],
    [{ threshold: 2 }, /threshold must be at most 1, the number of publicKeys, found 2/],
    [{ publicKeys: [KEY, OTHER_KEY], threshold: 3 }, /threshold must be at most 2/],
    [{ enrolment: "closed" }, /enrolment must be one of approve, open, token, found "closed"/],
    [{ enrolment: "token" }, /enrolment is "token" but enrolTokenFile is not set/],
    [{ enrolTokenFile: [] }, /enrolTokenFile must be a path, found a list/],
    [{ releaseReads: true }, /releaseReads must be one of open, enrolled, found true/],
    [{ pollSeconds: 4 }, /pollSeconds must be an integer from 5 to 86400, found 4/],
    [{ pollSeconds: 86_401 }, /pollSeconds must be an integer from 5 to 86400/],
    [{ behindProxy: "yes" }, /behindProxy must be true or false, found "yes"/],
    [{ publicUrl: "ota.example.org" }, /publicUrl must be an address without a path .*, found "ota.example.org"/],
    [{ publicUrl: "https://ota.example.org/x" }, /publicUrl must be an address without a path/],
    [
      { publicUrl: "https://me:secret@ota.example.org" },
      /publicUrl must be an address .*, found one with a user name$/,
    ],
    [{ connectionsMax: 0 }, /connectionsMax must be an integer from 1/],
    [{ connectionsPerAddressMax: -1 }, /connectionsPerAddressMax must be an integer from 1/],
    [{ logLevel: "trace" }, /logLevel must be one of debug, info, warn, error, found "trace"/],
  ];
  for (const [settings, expected] of cases) {
    await t.step(JSON.stringify(settings).slice(0, 60), () => {
      assert.throws(() => parseConfig(settings), (error: Error) => {
        assert.match(error.message, expected);
        assert.match(error.message, /^Cannot use the configuration: [^\n]+[^.\n]$/);
        return true;
      });
    });
  }
});

Deno.test("parseConfig() takes no settings from a prototype", () => {
  assert.throws(() => parseConfig(JSON.parse('{"__proto__":{"fleet":"x"}}')), /unknown key "__proto__"/);
});

Deno.test("parseConfigFile() wants a JSON object", async (t) => {
  assert.deepEqual(parseConfigFile(' {"fleet": "a"} ', "file"), { fleet: "a" });
  for (const text of ["", "{", "[]", "null", '"a"', "{'fleet': 1}", "fleet: a"]) {
    await t.step(text || "empty", () => {
      assert.throws(() => parseConfigFile(text, "the.json"), /Cannot read the configuration file "the\.json"/);
    });
  }
});
