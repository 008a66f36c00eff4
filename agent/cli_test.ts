import assert from "node:assert/strict";
import { HELP, parseCommandLine, UsageError } from "./cli.ts";

Deno.test("parseCommandLine() understands every command", async (t) => {
  for (const command of ["run", "once", "status", "rollback", "retry", "check-now"]) {
    await t.step(command, () => {
      const invocation = parseCommandLine([command, "--config", "/x.json"]);
      assert.deepEqual(invocation, { kind: "command", command, configPath: "/x.json", json: false });
      assert.match(HELP, new RegExp(`\\b${command}\\b`));
    });
  }
});

Deno.test("parseCommandLine() takes options anywhere and in both forms", () => {
  assert.deepEqual(parseCommandLine(["--config=/y.json", "status", "--json"]), {
    kind: "command",
    command: "status",
    configPath: "/y.json",
    json: true,
  });
  assert.deepEqual(parseCommandLine(["--check-config"]), {
    kind: "check-config",
    configPath: "/etc/nix-ota/agent.json",
  });
  assert.equal(parseCommandLine(["run", "--help"]).kind, "help");
  assert.equal(parseCommandLine(["--version"]).kind, "version");
});

const BAD: readonly (readonly [readonly string[], RegExp])[] = [
  [[], /without a command: wanted run, once/],
  [["statsu"], /command "statsu": did you mean "status"/],
  [["rollbak"], /did you mean "rollback"/],
  [["frobnicate"], /command "frobnicate": known: run/],
  [["run", "now"], /"now" after "run"/],
  [["run", "--json"], /--json with "run"/],
  [["--confg", "x"], /option "--confg": did you mean "--config"/],
  [["--token", "x"], /option "--token": known/],
  [["--config"], /--config without a file/],
  [["--config", "--json"], /--config without a file/],
  [["--config="], /--config without a file/],
  [["--check-config", "run"], /--check-config together with a command/],
  [["\u001b[31m" + "x".repeat(500)], /Cannot understand the command/],
];
for (const [args, problem] of BAD) {
  Deno.test(`parseCommandLine() refuses ${JSON.stringify(args).slice(0, 60)} in one sentence`, () => {
    assert.throws(() => parseCommandLine(args), (error: unknown) => {
      assert.ok(error instanceof UsageError);
      assert.match(error.message, problem);
      // deno-lint-ignore no-control-regex -- The very thing that must not be there.
      assert.doesNotMatch(error.message, /[\u0000-\u001f]/);
      return true;
    });
  });
}
