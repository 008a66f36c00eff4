import assert from "node:assert/strict";
import { operatorPaths } from "@nix-ota/common";
import { runNixOta } from "../testing/cli.ts";
import { makeDevice } from "../testing/devices.ts";
import { type FakeControl, problem, startControl } from "../testing/fake_control.ts";

const HOUR_MS = 3_600_000;
const COUNTS = { current: 1, waiting: 0, updating: 0, failed: 1, no_target: 0, pending: 1, rejected: 0 };
const RELEASE = {
  channel: "prod",
  revision: 42,
  digest: `sha256:${"a".repeat(64)}`,
  publishedMs: Date.now() - 5.5 * HOUR_MS,
  issued: "2026-01-01T00:00:00Z",
  expires: "2999-01-01T00:00:00Z",
  notes: "openssl\u001b[2J 3.0.14",
  mode: "auto",
  signers: [],
  targets: [{
    system: "x86_64-linux",
    variant: "default",
    storePath: `/nix/store/${"0".repeat(32)}-nixos-system-fridge-24.11.1`,
    paths: 5,
    narSize: 20_000_000,
  }],
};

/** A server with a small fleet. */
function startFleet(): FakeControl {
  const control = startControl();
  const { operator } = control;
  operator.set(operatorPaths.fleet, {
    fleet: "default",
    serverMs: Date.now(),
    channels: [{ channel: "prod", head: RELEASE, devices: COUNTS }],
    devices: COUNTS,
  });
  const devices = [
    makeDevice({ deviceId: "fridge-001", seenMs: Date.now() - 3.5 * HOUR_MS, runningRevision: 42 }),
    makeDevice({
      deviceId: "fridge-002",
      standing: "failed",
      state: { result: "rolled_back", reason: "switch_timeout" },
    }),
    makeDevice({ deviceId: "fridge-003", standing: "pending", status: "pending", state: null, runningRevision: null }),
  ];
  operator.set(operatorPaths.devices, { devices, next: null });
  for (const device of devices) {
    operator.set(operatorPaths.device(device.deviceId), device);
    operator.set(operatorPaths.accept(device.deviceId), { ...device, status: "accepted" });
    operator.set(operatorPaths.reject(device.deviceId), { ...device, status: "rejected" });
  }
  operator.set(operatorPaths.releases, { releases: [RELEASE], next: null });
  return control;
}

function run(control: FakeControl, args: readonly string[]): ReturnType<typeof runNixOta> {
  return runNixOta([...args, "--server", control.url, "--token", "-"], { stdin: control.token });
}

const PRINT = `SHA256:${"a".repeat(43)}`;

Deno.test("status, devices and releases show the fleet", async (t) => {
  await using control = startFleet();
  const rows: { args: string[]; code?: number; out?: RegExp; err?: RegExp }[] = [
    {
      args: ["status"],
      out: /CHANNEL .*\nprod +42 +5 h ago +1 +0 +0 +1 +0\n\n1 device failed: nix-ota devices --standing f/,
    },
    { args: ["status"], out: /1 device is waiting to be accepted: nix-ota devices --standing pending/ },
    { args: ["devices"], out: /fridge-001 +current +prod +42 +3 h ago\n/ },
    {
      args: ["devices"],
      out: /fridge-002 +failed .* rolled back: the activation did not end in time \(switch_timeout\)/,
    },
    { args: ["devices"], out: new RegExp(`nix-ota devices accept fridge-003 --fingerprint ${PRINT}`) },
    { args: ["devices", "--channel", "prod", "--standing", "no-target"], out: /fridge-001/ },
    { args: ["devices", "accept", "fridge-003", "--fingerprint", PRINT], out: /^fridge-003 is accepted\n$/ },
    { args: ["devices", "reject", "fridge-003", "--fingerprint", PRINT], out: /^fridge-003 is rejected\n$/ },
    {
      args: ["releases"],
      out: /prod +42 +5 h ago +2999-01-01 +fridge-24\.11\.1 +19\.1 MiB +openssl 3\.0\.14\n/,
    },
    { args: ["releases", "--channel", "prod", "--limit", "1"], out: /prod +42/ },
    // Bad input.
    {
      args: ["devices", "--standing", "sick"],
      code: 2,
      err: /--standing must be one of current, waiting.*found "sick"/,
    },
    { args: ["devices", "--channel", "A"], code: 2, err: /--channel must be 1 to 63/ },
    { args: ["releases", "--limit", "0"], code: 2, err: /--limit must be a whole number from 1 to 200/ },
    { args: ["releases", "--limit", "201"], code: 2, err: /--limit must be/ },
    {
      args: ["devices", "accept"],
      code: 2,
      err: /The argument <name> is missing \(see nix-ota devices accept --help\)/,
    },
    { args: ["devices", "accept", "../x"], code: 2, err: /the name of the device must be 1 to 63/ },
    {
      args: ["devices", "accept", "fridge-003"],
      code: 2,
      err: /--fingerprint is missing: the server knows "fridge-003" by SHA256:a+ \(compare it/,
    },
    { args: ["devices", "accept", "fridge-003", "--fingerprint", "x"], code: 2, err: /--fingerprint must be SHA256:/ },
    {
      args: ["devices", "accept", "fridge-9"],
      code: 4,
      err: /There is nothing here \(says the server .*, asked to read the/,
    },
    { args: ["devices", "acept", "fridge-003"], code: 2, err: /\(did you mean accept\?\)/ },
    { args: ["statsu"], code: 2, err: /There is no command "statsu" \(did you mean status\?\)/ },
  ];
  for (const { args, code = 0, out, err } of rows) {
    await t.step(args.join(" "), async () => {
      const result = await run(control, args);
      assert.equal(result.code, code, result.stderr);
      if (out) assert.match(result.stdout, out);
      if (err) assert.match(result.stderr, err);
      assert.ok(!result.stdout.includes("\u001b"), "an escape sequence got through");
      assert.ok(!(result.stdout + result.stderr).includes(control.token), "the token was shown");
    });
  }
});

Deno.test("--json prints one document, and nothing for people, on stdout", async (t) => {
  await using control = startFleet();
  const rows: [args: string[], read: (value: Record<string, unknown>) => unknown, expected: unknown][] = [
    [["status"], (value) => value["fleet"], "default"],
    [["devices"], (value) => (value["devices"] as unknown[]).length, 3],
    [["releases"], (value) => (value["releases"] as unknown[]).length, 1],
    [["devices", "accept", "fridge-003", "--fingerprint", PRINT], (value) => value["status"], "accepted"],
    [["devices", "accept", "x"], (value) => (value["error"] as { code: string }).code, "not_found"],
    [["devices", "--standing", "sick"], (value) => (value["error"] as { exit: number }).exit, 2],
  ];
  for (const [args, read, expected] of rows) {
    await t.step(args.join(" "), async () => {
      const { stdout } = await run(control, [...args, "--json"]);
      assert.equal(stdout.split("\n").length, 2);
      assert.deepEqual(read(JSON.parse(stdout)), expected);
    });
  }
});

Deno.test("devices follows pages, and no circle of them", async () => {
  await using control = startControl();
  let page = 0;
  control.intercept = (request, path) => {
    if (path !== operatorPaths.devices) return undefined;
    page += 1;
    const after = new URL(request.url).searchParams.get("after");
    if (after === null) return Response.json({ devices: [makeDevice({ deviceId: "a" })], next: "a" });
    return Response.json({ devices: [makeDevice({ deviceId: "b" })], next: page > 2 ? "a" : null });
  };
  assert.match((await run(control, ["devices"])).stdout, /^a .*\nb /m);
  const circle = await run(control, ["devices"]);
  assert.equal(circle.code, 5);
  assert.match(circle.stderr, /pages go round in a circle/);
});

Deno.test("status says what is wrong with an answer", async (t) => {
  await using control = startControl();
  const rows: [name: string, answer: () => Response, code: number, says: RegExp][] = [
    ["no JSON", () => new Response("hello"), 5, /is not that of a nix-ota server, it is no JSON \(check --server\)/],
    ["another form", () => Response.json({}), 5, /answer\.fleet must be .*found nothing/],
    [
      "a redirect",
      () => Response.redirect("https://other.example.org/"),
      5,
      /redirects \(302\) to https:\/\/other\.example/,
    ],
    ["404", () => new Response("no", { status: 404 }), 5, /answers 404, which is not what/],
    ["429 for ever", () => problem("rate_limited", "Too many requests"), 4, /Too many requests/],
    ["too much", () => new Response("x".repeat(9_000_000)), 5, /an answer of more than 8\.0 MiB/],
  ];
  for (const [name, answer, code, says] of rows) {
    await t.step(name, async () => {
      control.intercept = () => answer();
      const result = await run(control, ["status"]);
      assert.equal(result.code, code, result.stderr);
      assert.match(result.stderr, says);
    });
  }
});

Deno.test("nix-ota explains itself", async (t) => {
  const rows: [args: string[], code: number, out: RegExp][] = [
    [["--help"], 0, /Exit codes:\n +0 +done/],
    [["--version"], 0, /^\d+\.\d+\.\d+\n$/],
    [["help", "publish"], 0, /Examples:\n +Publish what nix build made:/],
    [["publish", "--help"], 0, /Where devices fetch it:\n +--substituter <url>/],
    [["devices", "accept", "--help"], 0, /--fingerprint/],
  ];
  for (const [args, code, out] of rows) {
    await t.step(args.join(" "), async () => {
      const result = await runNixOta(args);
      assert.equal(result.code, code);
      assert.match(result.stdout, out);
      assert.equal(result.stderr, "");
    });
  }
  await t.step("without arguments", async () => {
    const { code, stderr } = await runNixOta([]);
    assert.equal(code, 2);
    assert.match(stderr, /^Usage: nix-ota/);
  });
});
