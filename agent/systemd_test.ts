import assert from "node:assert/strict";
import { parseActive, parseClockSynced, parseFailedUnits, systemdRunArgv } from "./systemd.ts";

Deno.test("parseFailedUnits() reads names with and without marks, sorted and cut", () => {
  const stdout = "● nginx.service loaded failed failed Web\napp.service loaded failed failed App\n\n";
  assert.deepEqual(parseFailedUnits(stdout), ["app.service", "nginx.service"]);
  assert.deepEqual(parseFailedUnits("0 loaded units listed.\n"), []);
  assert.equal(parseFailedUnits(Array.from({ length: 99 }, (_, n) => `u${n}.service`).join("\n")).length, 32);
});

Deno.test("parseActive() knows the states in which something of a unit still runs", () => {
  assert.deepEqual(["active", "activating\n", "deactivating", "inactive", "failed", "unknown", ""].map(parseActive), [
    true,
    true,
    true,
    false,
    false,
    false,
    false,
  ]);
});

Deno.test("parseClockSynced() holds expiry up where nobody can tell", () => {
  assert.deepEqual(["yes\n", "no\n", "", "whatever"].map(parseClockSynced), [true, false, true, true]);
});

Deno.test("systemdRunArgv() gives the command after --, and the environment as options", () => {
  const argv = systemdRunArgv({
    systemdRun: "/bin/systemd-run",
    argv: ["/bin/sh", "-c", 'echo "$1" $$'],
    env: { A: "b c" },
    timeoutSeconds: 9,
  });
  assert.deepEqual(argv.slice(-4), ["--", "/bin/sh", "-c", 'echo "$$1" $$$$']);
  assert.ok(argv.includes("--setenv=A=b c"));
  assert.ok(argv.includes("--property=RuntimeMaxSec=9"));
});
