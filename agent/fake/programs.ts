/**
 * The programs of the fake device: Nix, `switch-to-configuration`, the health check and what else the agent calls.
 * @module
 */
import type { Command, Ran } from "../system.ts";
import { appendFile, renameFile, syncAll, writeFile } from "./disk.ts";
import {
  collectGarbage,
  CURRENT,
  FAKE_NAR_SIZE,
  isGenuine,
  isIntact,
  type Job,
  linkTarget,
  PROFILE,
  violate,
  type World,
} from "./world.ts";

/** One atomic step of the device; the place where it can be cut off. */
export type Op = (name: string) => Promise<void>;

/** What programs need. */
export interface ProgramDeps {
  readonly world: World;
  readonly op: Op;
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
  /** Whether Nix knows `fsync-store-paths`. */
  readonly nixSyncs: boolean;
}

const STORE_PATH = /^\/nix\/store\/[0-9a-z]{32}-[0-9A-Za-z+\-._?=]+$/;
/** Time between two steps of a `switch-to-configuration`. */
export const JOB_STEP_MS = 40;

function ran(code: number, { stdout = "", stderr = "" }: { stdout?: string; stderr?: string } = {}): Ran {
  return { code, stdout, stderr, killed: null };
}

/** Runs a program. */
export async function runFake(deps: ProgramDeps, command: Command): Promise<Ran> {
  const [program = "", ...args] = command.argv;
  const name = program.slice(program.lastIndexOf("/") + 1);
  switch (name) {
    case "nix-store":
      return await nixStore(deps, args, command);
    case "nix-env":
      return await setProfile(deps, args);
    case "nix":
      return args.includes("verify") ? verify(deps, args) : pathInfo(deps, args);
    case "sync":
      await deps.op("sync");
      syncWorld(deps.world);
      return ran(0);
    case "df":
      return ran(0, {
        stdout: "Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/x 100000000 1 90000000 1% /nix\n",
      });
    case "sh":
      return await healthCheck(deps, command);
    case "systemctl":
      return await systemctl(deps, args);
    default:
      return ran(127, { stderr: `no such program: ${program}` });
  }
}

function syncWorld(world: World): void {
  syncAll(world.disk);
  for (const [path, entry] of world.store) world.store.set(path, { ...entry, synced: true });
}

async function nixStore(deps: ProgramDeps, args: readonly string[], command: Command): Promise<Ran> {
  if (args.includes("--print-dead")) return ran(0); // As if something else referred to everything.
  if (args.includes("--gc")) {
    await deps.op("nix gc");
    collectGarbage(deps.world);
    return ran(0);
  }
  if (args.includes("--requisites")) {
    const storePath = args.find((arg) => STORE_PATH.test(arg)) ?? "";
    return ran(0, { stdout: `${(deps.world.systems.get(storePath)?.closure ?? []).join("\n")}\n` });
  }
  if (args.includes("--repair-path")) return await repair(deps, args);
  return await realise(deps, args, command);
}

async function realise({ world, op, nixSyncs }: ProgramDeps, args: readonly string[], command: Command): Promise<Ran> {
  const storePath = args.find((arg) => STORE_PATH.test(arg)) ?? "";
  const spec = world.systems.get(storePath);
  const rooted = linkTarget(world, "/nix/var/nix/gcroots/nix-ota/next") === storePath;
  if (!rooted) violate(world, "a closure was fetched without a GC root");
  for (const path of [...spec?.closure ?? [storePath]].reverse()) {
    if (world.store.has(path)) continue;
    const narHash = world.cache.get(path);
    if (narHash === undefined) return ran(1, { stderr: `don't know how to build these paths:\n  ${path}` });
    await op(`fetch ${path}`);
    command.onStderrLine?.(`@nix {"action":"start","id":1,"type":100}`);
    world.store.set(path, { narHash, intact: true, synced: nixSyncs && args.includes("fsync-store-paths") });
  }
  return ran(0, { stdout: `${storePath}\n` });
}

async function repair({ world, op, nixSyncs }: ProgramDeps, args: readonly string[]): Promise<Ran> {
  for (const path of args.filter((arg) => STORE_PATH.test(arg))) {
    const narHash = world.cache.get(path);
    if (narHash === undefined) return ran(1, { stderr: `don't know how to build these paths:\n  ${path}` });
    await op(`repair ${path}`);
    world.store.set(path, { narHash, intact: true, synced: nixSyncs });
  }
  return ran(0);
}

function pathInfo({ world }: ProgramDeps, args: readonly string[]): Ran {
  const remote = args.includes("--store");
  const storePath = args.find((arg) => STORE_PATH.test(arg)) ?? "";
  const facts: Record<string, unknown> = {};
  for (const path of world.systems.get(storePath)?.closure ?? [storePath]) {
    const narHash = remote ? world.cache.get(path) : world.store.get(path)?.narHash;
    if (narHash === undefined) return ran(1, { stderr: `error: path '${path}' is not valid` });
    facts[path] = { narHash, narSize: FAKE_NAR_SIZE };
  }
  return ran(0, { stdout: JSON.stringify(facts) });
}

function verify({ world }: ProgramDeps, args: readonly string[]): Ran {
  const storePath = args.find((arg) => STORE_PATH.test(arg)) ?? "";
  const damaged = (world.systems.get(storePath)?.closure ?? []).filter((path) =>
    world.store.get(path)?.intact !== true
  );
  const stderr = damaged.map((path) => `path '${path}' was modified! expected hash 'sha256:a', got 'sha256:b'\n`).join(
    "",
  );
  return ran(damaged.length === 0 ? 0 : 1, { stderr });
}

async function setProfile({ world, op }: ProgramDeps, args: readonly string[]): Promise<Ran> {
  const storePath = args.find((arg) => STORE_PATH.test(arg)) ?? "";
  if (!world.store.has(storePath)) return ran(1, { stderr: `error: build of '${storePath}' failed` });
  const { disk } = world;
  const numbers = [...disk.names.keys()].map((path) => Number(/system-(\d+)-link$/.exec(path)?.[1] ?? 0));
  const generation = Math.max(0, ...numbers) + 1;
  await op("profile link");
  const link = `${PROFILE}-${generation}-link`;
  disk.names.set(link, { kind: "link", target: storePath });
  disk.pending = [...disk.pending, {
    directory: parentOf(link),
    changes: [[link, { kind: "link", target: storePath }]],
  }];
  await op("profile rename");
  const now = { kind: "link", target: `system-${generation}-link` } as const;
  disk.names.set(PROFILE, now);
  disk.pending = [...disk.pending, { directory: parentOf(PROFILE), changes: [[PROFILE, now]] }];
  return ran(0);
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/"));
}

async function healthCheck({ world, op, sleep }: ProgramDeps, command: Command): Promise<Ran> {
  await op("health check");
  const { health } = world.systems.get(linkTarget(world, CURRENT) ?? "") ?? { health: "fail" };
  if (health !== "hang") return ran(health === "pass" ? 0 : 1, { stderr: `the app says ${health}` });
  await sleep(command.timeoutMs, command.signal);
  return { ...ran(137), killed: command.signal?.aborted ? "signal" : "timeout" };
}

async function systemctl({ world, op }: ProgramDeps, args: readonly string[]): Promise<Ran> {
  if (args.includes("reboot")) {
    await op("reboot");
    world.rebooting = true;
    return ran(0);
  }
  if (args.includes("is-active")) {
    return ran(world.jobs.length > 0 ? 0 : 3, { stdout: world.jobs.length > 0 ? "active" : "inactive" });
  }
  return ran(0);
}

/** Starts the runner of `switch_job.ts`: its arguments tell all. */
export function startJob(world: World, argv: readonly string[]): number {
  const [, , , , program = "", action = ""] = argv;
  const storePath = program.replace("/bin/switch-to-configuration", "");
  const pid = world.nextPid++;
  const hangs = world.systems.get(storePath)?.switchEffect === "hang";
  const job: Job = { pid, args: argv, storePath, action, hangs, step: 0, dueMs: world.nowMs + JOB_STEP_MS };
  world.jobs = [...world.jobs, job];
  return pid;
}

/** Kills a job. */
export function killJob(world: World, pid: number): void {
  world.jobs = world.jobs.filter((job) => job.pid !== pid);
}

/** Takes one step of a job; each step is atomic and may be the last. */
export async function stepJob({ world, op }: Pick<ProgramDeps, "world" | "op">, pid: number): Promise<void> {
  const named = world.jobs.find((one) => one.pid === pid);
  await op(`switch: ${stepsOf(named)[named?.step ?? 0] ?? "gone"}`);
  const job = world.jobs.find((one) => one.pid === pid);
  if (job === undefined) return; // Killed meanwhile.
  const steps = stepsOf(job);
  const step = steps[job.step];
  if (step !== undefined) takeStep(world, job, step);
  const ended = job.step + 1 >= steps.length;
  const next = { ...job, step: job.step + 1, dueMs: world.nowMs + (step === "hang" ? HANGS_MS : JOB_STEP_MS) };
  world.jobs = world.jobs.flatMap((one) => one.pid !== pid ? [one] : ended ? [] : [next]);
}

/** Longer than any test waits. */
const HANGS_MS = 10 * 365 * 86_400_000;

type JobStep = "pid" | "begin" | "loader" | "hang" | "activate" | "exit";

/** What a job does, in NixOS' own order: the boot loader first, then the running system. */
function stepsOf(job: Job | undefined): readonly JobStep[] {
  if (job === undefined) return [];
  return job.action === "boot"
    ? ["pid", "begin", "loader", "exit"]
    : ["pid", "begin", "loader", ...(job.hangs ? ["hang"] as const : []), "activate", "exit"];
}

function takeStep(world: World, { storePath, action, args, pid }: Job, step: JobStep): void {
  const [log = "", exit = "", pidFile = ""] = args.slice(6);
  const spec = world.systems.get(storePath);
  const intact = isIntact(world, storePath);
  const acts = intact && spec?.switchEffect !== "none";
  const text = (content: string) => new TextEncoder().encode(content);
  switch (step) {
    case "pid":
      return writeFile(world.disk, pidFile, text(`${pid}\n`), 0o644);
    case "begin":
      world.activations = [...world.activations, { storePath, action }];
      if (!intact) violate(world, `${storePath} was activated although it is damaged`);
      if (!isGenuine(world, storePath)) violate(world, `${storePath} was activated although it is not what was signed`);
      return appendFile(world.disk, log, text("updating the boot loader...\n"), 0o600);
    case "loader":
      if (acts && hasGeneration(world, storePath)) world.bootDefault = storePath;
      return;
    case "activate":
      if (acts) world.disk.names.set(CURRENT, { kind: "link", target: storePath });
      return;
    case "hang":
      return;
    case "exit":
      // An empty script ends well.
      writeFile(world.disk, `${exit}.new`, text(`${intact ? spec?.switchExit ?? 1 : 0}\n`), 0o644);
      return renameFile(world.disk, `${exit}.new`, exit);
  }
}

/** The boot loader has an entry for each generation of the profile, and for nothing else. */
function hasGeneration(world: World, storePath: string): boolean {
  for (const [path, node] of world.disk.names) {
    if (node.kind === "link" && node.target === storePath && path.startsWith(`${PROFILE}-`)) return true;
  }
  return false;
}
