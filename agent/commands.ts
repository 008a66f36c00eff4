/**
 * The commands, each from an opened state directory to an exit code.
 * @module
 */
import type { Agent } from "./agent.ts";
import { EXIT } from "./cli.ts";
import type { Config } from "./config.ts";
import type { Context } from "./context.ts";
import { lookAround } from "./device.ts";
import { openIdentity } from "./device_key.ts";
import { readJournal } from "./journal.ts";
import { openAgent } from "./opening.ts";
import { agentPaths } from "./paths.ts";
import type { Contact } from "./contact.ts";
import { runResident } from "./resident.ts";
import type { Situation } from "./state.ts";
import { createNoteWriter, readNote, reasonWords, statusJson, statusScreen } from "./status.ts";
import type { Held, System } from "./system.ts";
import { findTools } from "./tools.ts";

/** What a command gets. */
export interface CommandDeps {
  readonly system: System;
  readonly config: Config;
  readonly stop: AbortSignal;
  /** Prints to people. */
  readonly print: (text: string) => void;
}

/** Longest time that `rollback` waits for the running agent to take it over. */
const TAKE_OVER_MS = 30_000;
/** Longest time that `rollback` then follows it. */
const FOLLOW_MS = 30 * 60_000;
/** How often is looked. */
const LOOK_MS = 200;
/** How often the lock is tried. */
const LOCK_ATTEMPTS = 3;

/** `run`: stays until told to stop. */
export function runCommand(deps: CommandDeps): Promise<number> {
  return withAgent(deps, async (agent, context) => {
    await runResident(context, agent);
    return EXIT.ok;
  });
}

/** `once`: one full cycle. */
export function onceCommand(deps: CommandDeps): Promise<number> {
  return withAgent(deps, async (agent) => {
    await agent.start();
    const contact = await agent.cycle();
    return exitCodeOf(agent.situation, contact);
  });
}

/** What `once` says with its exit code. */
export function exitCodeOf({ state, memory }: Situation, contact: Contact): number {
  if (contact.kind === "pending") return EXIT.waiting;
  if (contact.kind === "failed") return contact.code === null ? EXIT.unreachable : EXIT.failed;
  if (state.kind !== "idle") return EXIT.waiting;
  const { offer } = contact.directive;
  if (offer === null || memory.confirmed?.digest === offer.digest) return EXIT.ok;
  return memory.last?.release?.digest === offer.digest ? EXIT.failed : EXIT.waiting;
}

/** `status`: needs no lock and changes nothing. */
export async function statusCommand({ system, config, print }: CommandDeps, json: boolean): Promise<number> {
  const paths = agentPaths(config);
  const nowMs = system.now();
  const { situation } = await readJournal(system.files, { stateDir: config.stateDir, nowMs });
  const look = await lookAround({ config, system });
  const lock = await system.files.stat(paths.lock) === null ? null : await system.lock(paths.lock);
  lock?.close();
  const alive = lock === null && await system.files.stat(paths.lock) !== null;
  const status = { config, situation, look, note: await readNote(system, paths), alive, nowMs };
  print(json ? statusJson(status) : statusScreen(status));
  return EXIT.ok;
}

/** `rollback`: here, or by the running agent. */
export async function rollbackCommand(deps: CommandDeps): Promise<number> {
  const { system, config } = deps;
  const before = (await readJournal(system.files, { stateDir: config.stateDir, nowMs: system.now() })).situation;
  if (before.state.kind === "idle" && before.memory.previous === null) {
    deps.print("Cannot go back as no system is recorded that ran before the last release");
    return EXIT.failed;
  }
  const paths = agentPaths(config);
  const lock = await takeLock(deps);
  if (lock === null) return await askAgent(deps, paths.rollbackRequest);
  lock.close();
  return await withAgent(deps, async (agent, context) => {
    // A way back that was cut off is gone to its end; anything else is ended by going back, not taken up again.
    if (agent.situation.state.kind === "rolling_back") await agent.start();
    else await agent.handle({ kind: "rollback-requested", look: await lookAround(context) });
    return sayOutcome(deps, agent.situation);
  });
}

/** `retry` and `check-now`: a note to the running agent, or done here. */
export async function requestCommand(deps: CommandDeps, command: "retry" | "check-now"): Promise<number> {
  const paths = agentPaths(deps.config);
  const lock = await takeLock(deps);
  if (lock === null) {
    await leaveRequest(deps, command === "retry" ? paths.retryRequest : paths.checkRequest);
    deps.print("The running agent was told");
    return EXIT.ok;
  }
  lock.close();
  if (command === "check-now") {
    deps.print('Cannot have the agent check in as it is not running (use "once")');
    return EXIT.failed;
  }
  return await withAgent(deps, async (agent) => {
    await agent.handle({ kind: "retry-requested" });
    deps.print("Forgotten: releases that failed here are tried again when they are offered");
    return EXIT.ok;
  });
}

async function askAgent(deps: CommandDeps, request: string): Promise<number> {
  const { system, config, stop } = deps;
  const startMs = system.monotonicMs();
  const askedMs = system.now();
  await leaveRequest(deps, request);
  deps.print("The running agent was told to go back");
  for (;;) {
    await system.sleep(LOOK_MS, stop);
    if (stop.aborted) return EXIT.waiting;
    const elapsedMs = system.monotonicMs() - startMs;
    const taken = await system.files.stat(request) === null;
    const { situation } = await readJournal(system.files, { stateDir: config.stateDir, nowMs: system.now() });
    const { state, memory } = situation;
    if (taken && state.kind === "idle" && (memory.last?.atMs ?? 0) >= askedMs) return sayOutcome(deps, situation);
    const started = taken || state.kind === "rolling_back";
    if (elapsedMs < (started ? FOLLOW_MS : TAKE_OVER_MS)) continue;
    deps.print('The agent is still busy; it goes back as soon as it can (see "status")');
    return EXIT.waiting;
  }
}

async function leaveRequest({ system, config }: CommandDeps, request: string): Promise<void> {
  await system.files.makeDirectory(agentPaths(config).requests, 0o700);
  await system.files.write(request, new Uint8Array(), 0o600);
}

function sayOutcome({ print }: CommandDeps, { memory }: Situation): number {
  const { last } = memory;
  const good = last?.result === "rolled_back";
  const about = last?.reason ? `: ${reasonWords(last.reason)}` : "";
  print(`${good ? "Went back" : "Could not go back"}${about}${last?.detail ? ` (${last.detail})` : ""}`);
  return good ? EXIT.ok : EXIT.failed;
}

async function takeLock({ system, config, stop }: CommandDeps): Promise<Held | null> {
  await system.files.makeDirectory(config.stateDir, 0o700);
  for (let attempt = 1;; attempt++) {
    const held = await system.lock(agentPaths(config).lock);
    if (held !== null || attempt >= LOCK_ATTEMPTS) return held;
    await system.sleep(LOOK_MS, stop); // `status` holds it for a moment to see whether an agent runs.
  }
}

/** Opens the state directory for the one agent that may, and puts the agent together. */
async function withAgent(
  deps: CommandDeps,
  work: (agent: Agent, context: Context) => Promise<number>,
): Promise<number> {
  const { system, config, stop } = deps;
  const paths = agentPaths(config);
  using lock = disposable(await takeLock(deps));
  if (lock.held === null) {
    system.log("error", "another agent is running", { lock: paths.lock });
    return EXIT.locked;
  }
  const tools = await findTools(system, config);
  const context: Context = { config, paths, system, tools, stop };
  const identity = await openIdentity(context);
  const notes = createNoteWriter({ system, paths, fingerprint: identity.fingerprint });
  const agent = await openAgent(context, identity, notes.note);
  try {
    return await work(agent, context);
  } finally {
    await agent.close();
    await notes.flush();
  }
}

function disposable(held: Held | null): Disposable & { readonly held: Held | null } {
  return { held, [Symbol.dispose]: () => held?.close() };
}
