/**
 * How long it takes from a publish until an idle device runs the release: real server, real agent, real Nix. The closures
 * are in the device's store before, so that no download counts. The yardstick is the same activation by hand, on the same
 * device in the same run.
 *
 *   deno task bench wake
 *
 * Exits 1 where the median is over the goal.
 * @module
 */
import { SYSTEM_PROFILE } from "../tests/rig/device.ts";
import { pause } from "../tests/rig/wait.ts";
import { openDepot } from "../tests/e2e/depot.ts";
import { Scene } from "../tests/e2e/scene.ts";

/** Publishes that are measured; one more goes before them. */
const PUBLISHES = 9;
const GOAL_SECONDS = 2;
/** After this a device is idle again and waits for its server. */
const SETTLE_MS = 2_000;

type Names = "factory" | "a" | "b";

/** Prints, in the device's own clock, when it runs a system. */
const WATCH = 'while [ "$(readlink /run/current-system)" != "$0" ]; do sleep 0.005; done; date +%s%3N';

/** Seconds until the device runs a system, and until its operator knows that it is healthy. */
type Timing = { running: number; reported: number };

async function publishOnce(scene: Scene<Names>, name: Names): Promise<Timing> {
  const watching = scene.device.output(["sh", "-c", WATCH, scene.system(name).storePath]);
  await pause(SETTLE_MS);
  const startMs = Date.now();
  const { revision } = await scene.publish(name);
  const running = Number(await watching) - startMs;
  await scene.ended(revision);
  return { running: running / 1000, reported: (Date.now() - startMs) / 1000 };
}

async function byHand({ device, ...scene }: { device: Scene<Names>["device"]; storePath: string }): Promise<number> {
  const { storePath } = scene;
  const startMs = performance.now();
  const script = `nix-env --profile ${SYSTEM_PROFILE} --set "$0" && "$0/bin/switch-to-configuration" switch`;
  await device.output(["sh", "-c", script, storePath]);
  return (performance.now() - startMs) / 1000;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? NaN;
}

function line(what: string, values: readonly number[]): string {
  const [middle, most] = [median(values), Math.max(...values)].map((seconds) => seconds.toFixed(2));
  return `${what.padEnd(44)} median ${middle} s  max ${most} s  n=${values.length}\n`;
}

async function main(): Promise<number> {
  await using depot = await openDepot({ factory: { generation: 1 }, a: { generation: 2 }, b: { generation: 3 } });
  await using scene = await Scene.open(depot, { factory: "factory" });
  const { device, substituter: { url, keys } } = scene;
  const fetching = ["--option", "substituters", url, "--option", "trusted-public-keys", keys.join(" ")];
  for (const name of ["a", "b"] as const) {
    const root = ["--add-root", `/nix/var/nix/gcroots/bench-${name}`];
    await device.output(["nix-store", "--realise", scene.system(name).storePath, ...root, ...fetching]);
  }
  const hands: number[] = [];
  for (let count = 0; count < PUBLISHES; count++) {
    hands.push(await byHand({ device, storePath: scene.system(count % 2 === 0 ? "a" : "b").storePath }));
  }
  await scene.startAgent();
  await scene.waitFor("the agent", ({ state }) => state !== null);
  const timings: Timing[] = [];
  for (let count = 0; count <= PUBLISHES; count++) {
    const timing = await publishOnce(scene, count % 2 === 0 ? "b" : "a");
    if (count > 0) timings.push(timing);
  }
  const running = timings.map((timing) => timing.running);
  const text = line("by hand: nix-env --set, switch", hands) +
    line("publish until the device runs it", running) +
    line("publish until the operator sees it succeeded", timings.map(({ reported }) => reported)) +
    `${(median(running) / median(hands)).toFixed(1)} times the activation by hand; ` +
    `the goal is a median of at most ${GOAL_SECONDS} s\n`;
  await Deno.stdout.write(new TextEncoder().encode(text));
  return median(running) <= GOAL_SECONDS ? 0 : 1;
}

if (import.meta.main) Deno.exit(await main());
