/** Updates during which the agent is killed again and again, at moments that only chance chooses. */

import assert from "node:assert/strict";
import type { Situation } from "../../agent/state.ts";
import { SYSTEM_PROFILE } from "../rig/device.ts";
import { pause } from "../rig/wait.ts";
import { pick, type Random } from "./random.ts";
import type { Scene } from "./scene.ts";

/** What the agent was doing when it was killed. */
export type Moment =
  | "download"
  | "checks after the download"
  | "staged"
  | "switch"
  | "probation"
  | "rollback"
  | "between";

/** How many kills hit what. */
export type Tally = Record<Moment, number>;

/** Systems of a scene in which the agent is killed. */
export type Killed<Name extends string> = {
  scene: Scene<Name>;
  /** Systems that are good. */
  good: readonly Name[];
  /** Systems that have to be rolled back. */
  bad: readonly Name[];
  /** What the device is on. */
  at: Name;
};

/** Most time between a start of the agent and its kill: about what one whole update takes. */
const LIFE_MAX_MS = 2_400;
/**
 * Phases that are waited for before a kill, so that a busy machine does not shift all of them into one; null for a kill
 * at any time.
 */
const AIMS = [null, null, "staging", "trial", "probation", "rolling_back"] as const;
const AIM_MAX_MS = 10_000;
const AIM_SPREAD_MS = 500;
/** Kills that one update has to bear. */
const KILLS_PER_UPDATE = 10;
/** Kills that one probation has to bear: one more, and the machine takes the new system for their cause (PROBATIONS_MAX). */
const KILLS_PER_PROBATION = 2;
const CONVERGE_MS = 90_000;
const TRACE_CHARS = 8_000;

/** Nothing was killed yet. */
export function emptyTally(): Tally {
  return {
    "download": 0,
    "checks after the download": 0,
    "staged": 0,
    "switch": 0,
    "probation": 0,
    "rollback": 0,
    "between": 0,
  };
}

/** Kills that hit an update under way. */
export function hits(tally: Tally): number {
  return Object.values(tally).reduce((sum, count) => sum + count) - tally.between;
}

/**
 * Plays one update with kills, and checks after every kill and at the end. The agent runs before and after.
 * @throws {Error} With all traces, where something is not as it has to be.
 */
export async function killedUpdate<Name extends string>(
  killed: Killed<Name>,
  random: Random,
  tally: Tally,
): Promise<void> {
  try {
    await playUpdate(killed, random, tally);
  } catch (cause) {
    throw new Error(`${(cause as Error).message}\n${await traces(killed.scene)}`, { cause });
  }
}

async function playUpdate<Name extends string>(killed: Killed<Name>, random: Random, tally: Tally): Promise<void> {
  const { scene, good, bad, at } = killed;
  await forgetOthers(scene);
  const target = pick(random, [...good, ...bad].filter((name) => name !== at));
  const isBad = bad.includes(target);
  const { revision } = await scene.publish(target);
  let probations = 0;
  for (let kills = 0; kills < KILLS_PER_UPDATE; kills++) {
    const isOver = await awaitMoment(scene, random, revision);
    if (isOver || probations >= KILLS_PER_PROBATION) break;
    await scene.stopAgent("SIGKILL");
    const situation = await scene.journal(); // Throws if it cannot be read.
    const moment = await momentOf(scene, situation, target);
    tally[moment]++;
    if (moment === "probation") probations++;
    await assertOldOrNew(scene, [at, target]);
    await scene.startAgent();
    if (moment === "between" && situation?.memory.last?.release?.revision === revision) break; // It is over.
  }
  await assertEnds(scene, { target, at, revision, isBad });
  if (!isBad) killed.at = target;
}

/** Waits for a moment to kill the agent at; answers whether the update was over before. */
async function awaitMoment<Name extends string>(
  scene: Scene<Name>,
  random: Random,
  revision: number,
): Promise<boolean> {
  const aim = pick(random, AIMS);
  if (aim === null) {
    await pause(random() ** 2 * LIFE_MAX_MS); // Short lives more often than long ones: more hits.
    return false;
  }
  for (const deadline = performance.now() + AIM_MAX_MS; performance.now() < deadline;) {
    const situation = await scene.journal();
    const phase = situation?.state.kind ?? "idle";
    if (phase === "idle" && situation?.memory.last?.release?.revision === revision) return true;
    if (phase === aim) break;
  }
  await pause(random() * AIM_SPREAD_MS);
  return false;
}

async function momentOf<Name extends string>(
  scene: Scene<Name>,
  situation: Situation | undefined,
  target: Name,
): Promise<Moment> {
  switch (situation?.state.kind) {
    case "staging":
      return await scene.holds(target) ? "checks after the download" : "download";
    case "staged":
      return "staged";
    case "trial":
    case "rebooting":
      return "switch";
    case "probation":
      return "probation";
    case "rolling_back":
      return "rollback";
    case "idle":
    case undefined:
      return "between";
  }
}

/** The device runs, boots and keeps as its profile the old or the new system, and these are all there. */
async function assertOldOrNew<Name extends string>(scene: Scene<Name>, names: readonly Name[]): Promise<void> {
  const allowed = names.map((name) => scene.system(name).storePath);
  const sight = await scene.sight();
  for (const [what, path] of Object.entries(sight)) {
    assert.ok(path !== undefined && allowed.includes(path), `${what} is ${path}: wanted one of ${allowed.join(", ")}`);
  }
  const seen = [...new Set(Object.values(sight).filter((path) => path !== undefined))];
  const { code, stderr } = await scene.device.exec(["nix-store", "--query", "--requisites", ...seen]);
  assert.equal(code, 0, `something that the device needs is gone: ${stderr}`);
}

async function assertEnds<Name extends string>(
  scene: Scene<Name>,
  { target, at, revision, isBad }: { target: Name; at: Name; revision: number; isBad: boolean },
): Promise<void> {
  const { state } = await scene.waitFor(
    `the end of ${target}`,
    ({ state }) =>
      state?.phase === "idle" && state.target?.revision === revision &&
      (state.result === "succeeded" || state.reason?.startsWith("switch_failed:exit") === true),
    CONVERGE_MS,
  );
  assert.equal(state?.result, isBad ? "rolled_back" : "succeeded");
  assert.deepEqual(await scene.sight(), scene.sightOf(isBad ? at : target));
}

/** Leaves nothing in the store but what runs and the way back, so that the next update is fetched. */
async function forgetOthers<Name extends string>({ device }: Scene<Name>): Promise<void> {
  await device.output(["nix-env", "--profile", SYSTEM_PROFILE, "--delete-generations", "old"]);
  // The boot menu must not name what is deleted.
  await device.output([`${SYSTEM_PROFILE}/bin/switch-to-configuration`, "boot"]);
  await device.output(["nix-store", "--gc"]);
}

/** What a person who looks for the cause of a failure would look at. */
async function traces<Name extends string>(scene: Scene<Name>): Promise<string> {
  const look = "date +%s.%N; tail -n 20 /var/log/switch.log; cd /boot/loader; head -v -n 9 loader.conf entries/*; " +
    "ls -l /nix/var/nix/profiles /run/current-system; cat /nix/var/nix-ota/activation.log";
  const { stdout } = await scene.device.exec(["sh", "-c", look]);
  return `${stdout}\nThe agent said:\n${scene.agentLog.slice(-TRACE_CHARS)}`;
}
