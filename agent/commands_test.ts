import assert from "node:assert/strict";
import { createLog } from "@nix-ota/common";
import { EXIT } from "./cli.ts";
import {
  type CommandDeps,
  exitCodeOf,
  onceCommand,
  requestCommand,
  rollbackCommand,
  runCommand,
  statusCommand,
} from "./commands.ts";
import type { Contact } from "./contact.ts";
import { digest, look, NEW, OLD, situationIn, TARGET, TRIAL } from "./fake/deployments.ts";
import { createFleet, fakeConfig } from "./fake/device.ts";
import { openJournal } from "./journal.ts";
import { agentPaths } from "./paths.ts";
import { transition } from "./machine.ts";
import type { Situation } from "./state.ts";
import { createDenoSystem } from "./system_deno.ts";

const fleet = await createFleet();
const DIRECTIVE = { v: 1, nonce: "n1", serverTime: "2026-06-01T00:00:00Z", pollAfterSeconds: 60, root: 0, offer: null };

interface Bench extends AsyncDisposable {
  readonly deps: CommandDeps;
  readonly printed: string[];
  readonly logged: string[];
  readonly stop: () => void;
  answer(answer: () => Response): void;
}

/** A state directory, programs that do nothing, and a server on loopback. */
async function openBench(): Promise<Bench> {
  const folder = await Deno.makeTempDir({ prefix: "nix-ota-agent-" });
  const [printed, logged]: string[][] = [[], []];
  for (const name of ["nix", "nix-store", "nix-env"]) {
    await Deno.mkdir(`${folder}/bin`, { recursive: true });
    await Deno.writeTextFile(`${folder}/bin/${name}`, "#!/bin/sh\nexit 1\n", { mode: 0o755 });
  }
  let answer: () => Response = () => new Response("", { status: 500 });
  const ending = new AbortController();
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, signal: ending.signal, onListen: () => {} },
    () => answer(),
  );
  const config = fakeConfig(fleet, {
    server: `http://127.0.0.1:${server.addr.port}`,
    stateDir: `${folder}/state`,
    gcRootsDir: `${folder}/gcroots`,
    currentSystem: `${folder}/current-system`,
    bootedSystem: `${folder}/booted-system`,
    profile: `${folder}/system`,
    nixBinDir: `${folder}/bin`,
    allowHttp: true,
  });
  const log = createLog({ write: (line) => void logged?.push(line), now: Date.now });
  const stopping = new AbortController();
  return {
    deps: { system: createDenoSystem(log), config, stop: stopping.signal, print: (text) => void printed?.push(text) },
    printed: printed ?? [],
    logged: logged ?? [],
    stop: () => stopping.abort(),
    answer: (next) => answer = next,
    async [Symbol.asyncDispose]() {
      ending.abort();
      await server.finished;
      await Deno.remove(folder, { recursive: true });
    },
  };
}

function json(value: unknown, status = 200): Response {
  return new Response(JSON.stringify(value), { status, headers: { "content-type": "application/json" } });
}

async function remember({ deps }: Bench, situation: Situation): Promise<void> {
  await Deno.mkdir(deps.config.stateDir, { recursive: true });
  await openJournal(deps.system.files, deps.config.stateDir).write(situation);
}

const CONFIRMED = situationIn({ kind: "idle" }, { confirmed: TARGET, previous: OLD });

Deno.test("once ends with a code that says how the device stands", async (t) => {
  const cases: readonly (readonly [string, () => Response, number])[] = [
    ["nothing is offered", () => json(DIRECTIVE), EXIT.ok],
    ["the server fails", () => new Response("", { status: 500 }), EXIT.unreachable],
    ["the server refuses", () => json({ code: "device_rejected", detail: "no" }, 403), EXIT.failed],
    ["an operator has to accept the device", () => json({ code: "device_pending" }, 403), EXIT.waiting],
  ];
  for (const [name, answer, code] of cases) {
    await t.step(name, async () => {
      await using bench = await openBench();
      bench.answer(answer);
      assert.equal(await onceCommand(bench.deps), code);
    });
  }
});

Deno.test("exitCodeOf() says waiting, done and failed of what is offered", async (t) => {
  const offer = { channel: "prod", revision: 7, digest: TARGET.digest, stage: true, activate: true, reason: "" };
  const contact: Contact = { kind: "directive", directive: { ...DIRECTIVE, v: 1, offer, readToken: null } };
  const last = {
    result: "refused",
    reason: "no_target",
    detail: null,
    release: { revision: 7, digest: TARGET.digest, storePath: null },
    atMs: 0,
  } as const;
  const cases: readonly (readonly [string, Situation, number])[] = [
    ["it runs", CONFIRMED, EXIT.ok],
    ["it failed", situationIn({ kind: "idle" }, { last }), EXIT.failed],
    ["it was not tried yet", situationIn({ kind: "idle" }), EXIT.waiting],
    ["it waits for permission", situationIn({ kind: "staged", target: TARGET }), EXIT.waiting],
    ["it waits for a reboot", situationIn({ kind: "rebooting", ...TRIAL, reason: null }), EXIT.waiting],
  ];
  for (const [name, situation, code] of cases) {
    await t.step(name, () => assert.equal(exitCodeOf(situation, contact), code));
  }
});

Deno.test("a second agent ends at once and says so", async () => {
  await using bench = await openBench();
  await Deno.mkdir(bench.deps.config.stateDir, { recursive: true });
  using _lock = await bench.deps.system.lock(agentPaths(bench.deps.config).lock).then((held) => ({
    [Symbol.dispose]: () => held?.close(),
  }));
  assert.equal(await runCommand(bench.deps), EXIT.locked);
  assert.match(bench.logged.join(""), /another agent is running/);
});

Deno.test("an agent without Nix says which program it misses and where it looked", async () => {
  await using bench = await openBench();
  await Deno.remove(`${bench.deps.config.nixBinDir}/nix-env`);
  await assert.rejects(onceCommand(bench.deps), /Cannot find the program "nix-env" in .*bin \(set nixBinDir\)/);
});

Deno.test("rollback without a recorded system is a sentence, not an attempt", async () => {
  await using bench = await openBench();
  assert.equal(await rollbackCommand(bench.deps), EXIT.failed);
  assert.match(bench.printed.join("\n"), /Cannot go back as no system is recorded/);
});

Deno.test("rollback leaves a note for the running agent, follows it, and says how it ended", async () => {
  await using bench = await openBench();
  await remember(bench, CONFIRMED);
  const { config, system } = bench.deps;
  const { lock, rollbackRequest } = agentPaths(config);
  const held = await system.lock(lock);
  const asking = rollbackCommand(bench.deps);
  while (await system.files.stat(rollbackRequest) === null) await system.sleep(10);
  const policy = { fleet: "default", channel: "prod", nowMs: Date.now() + 1, canReboot: false };
  const [back] = transition(
    CONFIRMED,
    { kind: "rollback-requested", look: look({ running: NEW, profile: NEW }) },
    policy,
  );
  const [done] = transition(back, { kind: "reverted", look: look(), detail: null }, policy);
  await remember(bench, done);
  await system.files.remove(rollbackRequest);
  assert.equal(await asking, EXIT.ok);
  assert.match(bench.printed.join("\n"), /told to go back\nWent back/);
  held?.close();
});

Deno.test("retry and check-now reach the running agent, and say what to do where none runs", async () => {
  await using bench = await openBench();
  const bad = [{ digest: digest("7"), reason: "health_failed", atMs: 1 }];
  await remember(bench, situationIn({ kind: "idle" }, { bad }));
  const { config, system } = bench.deps;
  const paths = agentPaths(config);
  const held = await system.lock(paths.lock);
  assert.equal(await requestCommand(bench.deps, "retry"), EXIT.ok);
  assert.equal(await requestCommand(bench.deps, "check-now"), EXIT.ok);
  assert.ok(await system.files.stat(paths.retryRequest) && await system.files.stat(paths.checkRequest));
  held?.close();
  assert.equal(await requestCommand(bench.deps, "check-now"), EXIT.failed);
  assert.equal(await requestCommand(bench.deps, "retry"), EXIT.ok);
  assert.match(bench.printed.join("\n"), /use "once".*\nForgotten/);
});

Deno.test("status needs no lock and shows what a technician asks", async () => {
  await using bench = await openBench();
  const last = {
    result: "rolled_back",
    reason: "health_failed:exit 3",
    detail: "app is down",
    release: { revision: 7, digest: TARGET.digest, storePath: NEW },
    atMs: Date.now(),
  } as const;
  await remember(
    bench,
    situationIn({ kind: "idle" }, {
      last,
      previous: OLD,
      bad: [{ digest: TARGET.digest, reason: "health_failed", atMs: 1 }],
    }),
  );
  const { config, system } = bench.deps;
  const held = await system.lock(agentPaths(config).lock);
  assert.equal(await statusCommand(bench.deps, false), EXIT.ok);
  const [screen = ""] = bench.printed;
  for (
    const wanted of [
      /Agent +running/,
      /device-1 \(fleet default, channel prod\)/,
      /revision 7 rolled back/,
      /The health check failed.*\(exit 3\)/,
      /app is down/,
      /retry forgets them/,
    ]
  ) {
    assert.match(screen, wanted);
  }
  held?.close();
  await statusCommand(bench.deps, true);
  const shown = JSON.parse(bench.printed.at(-1) ?? "");
  assert.deepEqual([shown.running, shown.phase, shown.last.reason], [false, "idle", "health_failed:exit 3"]);
});

Deno.test("status and once work on a device that never ran an agent", async () => {
  await using bench = await openBench();
  assert.equal(await statusCommand(bench.deps, false), EXIT.ok);
  assert.match(bench.printed.join("\n"), /NOT RUNNING/);
});

Deno.test("an agent whose journal is lost says so, keeps it aside and goes on", async () => {
  await using bench = await openBench();
  const { stateDir } = bench.deps.config;
  await Deno.mkdir(stateDir, { recursive: true });
  await Deno.writeTextFile(`${stateDir}/journal.json`, "torn");
  await Deno.writeTextFile(`${stateDir}/journal.previous.json`, "");
  bench.answer(() => json(DIRECTIVE));
  assert.equal(await onceCommand(bench.deps), EXIT.ok);
  assert.match(bench.logged.join(""), /the journal is lost/);
  assert.equal(await Deno.readTextFile(`${stateDir}/journal.json.broken`), "torn");
});

Deno.test("a state directory that was open to others is closed", async () => {
  await using bench = await openBench();
  const { stateDir } = bench.deps.config;
  await Deno.mkdir(stateDir, { recursive: true, mode: 0o755 });
  await Deno.chmod(stateDir, 0o755);
  bench.answer(() => json(DIRECTIVE));
  await onceCommand(bench.deps);
  assert.equal(((await Deno.stat(stateDir)).mode ?? 0) & 0o777, 0o700);
  assert.equal(((await Deno.stat(`${stateDir}/device.key`)).mode ?? 0) & 0o777, 0o600);
});
