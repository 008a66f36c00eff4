/**
 * The crash matrix: every step of every scenario is cut off before it, in several ways, and the agent is started again.
 * @module
 */
import { type Fleet, type LifeOptions, live, pollUntilIdle } from "./device.ts";
import { createRandom } from "./random.ts";
import type { Scenario } from "./scenarios.ts";
import {
  BOOTED,
  cloneWorld,
  collectGarbage,
  CURRENT,
  cutWorldPower,
  linkTarget,
  PROFILE,
  rebootWorld,
  type World,
} from "./world.ts";
import { floorKey, type Situation } from "../state.ts";

/** How a life is cut off. */
export const CUTS = [
  /** Power: nothing that was not synced survives. */
  "power-drop",
  /** Power: everything happens to have been written. */
  "power-keep",
  /** Power: each unsynced write survives, is lost or is torn, each by chance. */
  "power-random",
  /** SIGKILL of the agent; an activation goes on. */
  "kill",
  /** SIGKILL of the agent and of the activation. */
  "kill-all",
] as const;
/** One of {@link CUTS}. */
export type Cut = typeof CUTS[number];

/** A world just before a step. */
export interface Snapshot {
  readonly world: World;
  readonly step: string;
}

/** How the matrix is run. */
export interface MatrixOptions {
  readonly fleet: Fleet;
  readonly seed: number;
  /** Cuts before every so many steps; 1 is all of them. */
  readonly stepEvery: number;
  /** Random outcomes of a power cut, per step. */
  readonly randomCuts: number;
  /** Every so many cuts, the life that follows is cut off as well. */
  readonly doubleCutEvery: number;
  readonly mutate?: LifeOptions["mutate"];
  /** Stops at so many failures. */
  readonly failuresMax: number;
}

/** What came of it. */
export interface MatrixResult {
  cuts: number;
  /** Cuts that left a world that no cut had left before. */
  worlds: number;
  doubleCuts: number;
  steps: number;
  failures: string[];
}

/** Lives between a crash and the end: a reboot or two, and the crash's own. */
const LIVES_MAX = 6;

/** Runs a scenario without a cut and keeps the world before every step. */
export async function recordSteps(scenario: Scenario, options: MatrixOptions): Promise<readonly Snapshot[]> {
  const snapshots: Snapshot[] = [];
  const world = cloneWorld(scenario.world);
  const onStep = (_: number, step: string) => snapshots.push({ world: cloneWorld(world), step });
  const common = lifeOptions(options, createRandom(options.seed));
  const { end, situation } = await live(world, scenario.plot, { ...common, onStep });
  if (end !== "done") throw new Error(`${scenario.name}: the first life is ${end} in ${situation?.state.kind}`);
  if (world.rebooting || situation?.state.kind === "rebooting") {
    rebootWorld(world);
    const next = await live(world, pollUntilIdle, { ...common, onStep });
    if (next.end !== "done") throw new Error(`${scenario.name}: the second life is ${next.end}`);
  }
  snapshots.push({ world: cloneWorld(world), step: "the end" });
  return snapshots;
}

function lifeOptions({ fleet, seed, mutate }: MatrixOptions, random: () => number): LifeOptions {
  // Every other seed has a Nix that does not sync store paths by itself.
  return { fleet, random, nixSyncs: seed % 2 === 0, ...(mutate === undefined ? {} : { mutate }) };
}

/** Cuts a scenario off everywhere. */
export async function runMatrix(scenario: Scenario, options: MatrixOptions, result: MatrixResult): Promise<void> {
  await recordSteps(scenario, options); // The first run waits for real cryptography now and then.
  const snapshots = await recordSteps(scenario, options);
  result.steps += snapshots.length;
  const known = new Set<string>();
  for (const [at, snapshot] of snapshots.entries()) {
    if (at % options.stepEvery !== 0) continue;
    for (const [nth, cut] of cutsOf(options).entries()) {
      const random = createRandom(options.seed * 1_000_003 + at * 101 + nth);
      const world = cloneWorld(snapshot.world);
      applyCut(world, cut, random);
      if (random() < 0.3) collectGarbage(world);
      result.cuts += 1;
      const twice = result.cuts % options.doubleCutEvery === 0;
      const key = worldKey(world);
      if (!twice && known.has(key)) continue; // What follows is what followed before.
      known.add(key);
      result.worlds += 1;
      if (twice) result.doubleCuts += 1;
      const problem = await survives(scenario, world, { ...options, random, twice });
      if (problem === null) continue;
      result.failures.push(`${scenario.name}, ${cut} before step ${at} "${snapshot.step}": ${problem}`);
      if (result.failures.length >= options.failuresMax) return;
    }
  }
}

function cutsOf({ randomCuts }: MatrixOptions): readonly Cut[] {
  return [...CUTS, ...Array.from({ length: randomCuts - 1 }, () => "power-random" as const)];
}

function applyCut(world: World, cut: Cut, random: () => number): void {
  switch (cut) {
    case "power-drop":
      return cutWorldPower(world, "drop", random);
    case "power-keep":
      return cutWorldPower(world, "keep", random);
    case "power-random":
      return cutWorldPower(world, "random", random);
    case "kill":
      return;
    case "kill-all":
      world.jobs = [];
  }
}

/** Starts the agent again until all is quiet; answers with what is wrong then, or null. */
async function survives(
  scenario: Scenario,
  world: World,
  options: MatrixOptions & { random: () => number; twice: boolean },
): Promise<string | null> {
  const { random } = options;
  const common = lifeOptions(options, random);
  let cutsLeft = options.twice ? 1 : 0;
  let situation: Situation | null = null;
  for (let n = 0; n < LIVES_MAX; n++) {
    scenario.meanwhile?.(world);
    const cutAt = cutsLeft > 0 ? 1 + Math.floor(random() * 120) : 0;
    const life = await live(world, pollUntilIdle, { ...common, cutAt });
    situation = life.situation;
    if (life.end === "stuck") return `stuck in ${situation?.state.kind}`;
    if (life.end === "dead") {
      cutsLeft -= 1;
      applyCut(world, CUTS[Math.floor(random() * CUTS.length)] ?? "power-random", random);
      continue;
    }
    // The machine restarts itself, or a person restarts it.
    if (!world.rebooting && situation?.state.kind !== "rebooting") break;
    rebootWorld(world);
  }
  return situation === null ? "never opened" : wrongAfter(scenario, world, situation, options.twice);
}

/** Activations of a target that can be needed: one, one more after each cut, and as many for the way back and forth. */
const ACTIVATIONS_BOUND = { once: 2, twice: 4 } as const;

function wrongAfter(scenario: Scenario, world: World, situation: Situation, twice: boolean): string | null {
  const { oldSystem, newSystem, digest, ending } = scenario;
  const { state, memory } = situation;
  const [running, profile] = [linkTarget(world, CURRENT), linkTarget(world, PROFILE)];
  const [violation] = world.violations;
  if (violation !== undefined) return violation;
  if (state.kind !== "idle") return `not settled but ${state.kind}`;
  if (running !== profile) return `runs ${running} while the profile is ${profile}`;
  if (running !== oldSystem && running !== newSystem) return `a third state: ${running}`;
  const remembered = memory.bad.some((one) => one.digest === digest);
  const isNew = running === newSystem;
  const booted = scenario.mayBoot && isNew && linkTarget(world, BOOTED) === newSystem;
  // Cut off twice in an activation, a device may give a good release up; it says so.
  const excused = twice && remembered;
  if (ending === "new" && !isNew && !excused) return `ended on the old system: ${memory.last?.reason}`;
  if (ending === "old" && isNew && !booted) return "ended on the new system";
  if (scenario.bad && !remembered && !booted) return `the release is not remembered as bad: ${memory.last?.result}`;
  if (!scenario.bad && ending === "new" && remembered && !twice) return `a good release is remembered as bad`;
  const floor = memory.floors[floorKey({ fleet: "default", channel: "prod" })]?.revision ?? 0;
  if (floor < 7) return `the floor is ${floor}`;
  const times = world.activations.filter(({ storePath }) => storePath === newSystem).length;
  if (ending !== "either" && times > ACTIVATIONS_BOUND[twice ? "twice" : "once"]) return `activated ${times} times`;
  if (world.bootDefault !== running) return `boots ${world.bootDefault} next`;
  return null;
}

/** What a world is, but for the time of day: equal keys, equal futures. */
function worldKey({ disk, store, jobs, bootDefault, boots, server, activations }: World): string {
  const files = [...disk.names].sort(([a], [b]) => a < b ? -1 : 1).map(([path, node]) =>
    node.kind === "file"
      ? `${path}=${new TextDecoder("latin1").decode(disk.inodes.get(node.inode)?.content).replaceAll(/Ms":\d+/g, "")}`
      : `${path}>${node.kind === "link" ? node.target : ""}`
  );
  const paths = [...store].map(([path, entry]) => `${path} ${entry.intact} ${entry.synced} ${entry.narHash}`).sort();
  const rest = [
    jobs.map((job) => [job.storePath, job.step]),
    bootDefault,
    boots,
    server.highestSeq,
    server.up,
    activations.length,
  ];
  return `${files.join("\n")}\n${paths.join("\n")}\n${JSON.stringify([rest, server.offer])}`;
}
