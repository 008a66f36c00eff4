import assert from "node:assert/strict";
import { parseConfig } from "./config.ts";
import { helpText, parseArgs } from "./flags.ts";

Deno.test("parseArgs() reads commands and flags", async (t) => {
  const run = (settings: object, configPath: string | null = null): object => ({ kind: "run", configPath, settings });
  const cases: [string, object][] = [
    ["", run({})],
    ["--listen 127.0.0.1:0 --data-dir /d", run({ listen: "127.0.0.1:0", dataDir: "/d" })],
    ["--listen=[::1]:80", run({ listen: "[::1]:80" })],
    ["--public-key a= --public-key=b:c==", run({ publicKeys: ["a=", "b:c=="] })],
    ["--threshold 2 --poll-seconds=30", run({ threshold: 2, pollSeconds: 30 })],
    ["--threshold two", run({ threshold: "two" })],
    ["--behind-proxy --fleet a", run({ behindProxy: true, fleet: "a" })],
    ["--config x.json --enrolment open", run({ enrolment: "open" }, "x.json")],
    ["--check-config --config x.json", { kind: "check", configPath: "x.json", settings: {} }],
    ["backup out.sqlite --data-dir d", {
      kind: "backup",
      configPath: null,
      settings: { dataDir: "d" },
      file: "out.sqlite",
    }],
    ["--data-dir d backup out.sqlite", {
      kind: "backup",
      configPath: null,
      settings: { dataDir: "d" },
      file: "out.sqlite",
    }],
    ["backup --help", { kind: "help" }],
    ["-h", { kind: "help" }],
    ["--version", { kind: "version" }],
  ];
  for (const [line, expected] of cases) {
    await t.step(line || "nothing", () => {
      assert.deepEqual(parseArgs(line.split(" ").filter(Boolean)), expected);
    });
  }
});

Deno.test("parseArgs() says what it does not know", async (t) => {
  const cases: [string, RegExp][] = [
    ["--lisen 1", /Cannot use the flag "--lisen" as it is not known \(did you mean --listen\?\)/],
    ["--publish-token abc", /did you mean --publish-token-file\?/],
    ["-x", /Cannot use the flag "-x" as it is not known \(see --help\)/],
    ["--zzz=1", /Cannot use the flag "--zzz" as it is not known \(see/],
    ["--listen", /Cannot use --listen without a value/],
    ["--listen --data-dir d", /Cannot use --listen without a value/],
    ["--config", /Cannot use --config without a value/],
    ["serve", /Cannot do "serve": the only command is backup/],
    ["backup", /Cannot back up: wanted one FILE/],
    ["backup a b", /Cannot back up: wanted one FILE/],
  ];
  for (const [line, expected] of cases) {
    await t.step(line, () => {
      assert.throws(() => parseArgs(line.split(" ")), (error: Error) => {
        assert.ok(error instanceof TypeError);
        assert.match(error.message, expected);
        return true;
      });
    });
  }
});

Deno.test("helpText() names a flag for every key of the configuration, with its real default", () => {
  const config = parseConfig({});
  const help = helpText();
  for (const [key, value] of Object.entries(config)) {
    const flag = `--${
      key === "publicKeys" ? "public-key" : key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
    }`;
    assert.ok(help.includes(`  ${flag} `), `the help lacks ${flag}`);
    if (typeof value !== "string" && typeof value !== "number") continue;
    const line = help.split("\n").find((one) => one.startsWith(`  ${flag} `));
    assert.ok(line?.includes(`(${value})`), `the help says another default for ${key} than ${value}`);
  }
});
