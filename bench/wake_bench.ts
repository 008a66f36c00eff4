/**
 * How long an idle device takes from a publish to running the release, download excluded: its closures are in the
 * device's store already. Real server, real agent, real Nix. The yardstick is the least that has to be done, by hand on
 * the same device: set the profile, switch.
 */
import { type Depot, openDepot } from "../tests/e2e/depot.ts";
import { Scene } from "../tests/e2e/scene.ts";
import { pause } from "../tests/rig/wait.ts";

const PUBLISHES = 11;
/** Goal for the median, in seconds. */
const GOAL_SECONDS = 2;
/** The agent settles, and its long poll is open again. */
const REST_MS = 1_500;
const LOOK_MS = 10;
const LIMIT_MS = 30_000;

type Names = "factory" | "odd" | "even";

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? NaN;
}

function print(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

async function seconds(work: () => Promise<void>): Promise<number> {
  const startedMs = performance.now();
  await work();
  return (performance.now() - startedMs) / 1000;
}

/** Puts both systems into the device's store and roots them. */
async function stock({ device, substituter }: Scene<Names>, depot: Depot<Names>): Promise<void> {
  for (const name of ["odd", "even"] as const) {
    const options = ["substituters", substituter.url, "trusted-public-keys", substituter.keys.join(" ")];
    const [url = "", urls = "", keys = "", texts = ""] = options;
    await device.output([
      ...["nix-store", "--realise", depot.systems[name].storePath, "--add-root", `/nix/var/nix/gcroots/bench-${name}`],
      ...["--option", url, urls, "--option", keys, texts],
    ]);
  }
}

async function byHand({ device, depot }: Scene<Names>, name: Names): Promise<void> {
  const { storePath } = depot.systems[name];
  await device.output(["nix-env", "--profile", "/nix/var/nix/profiles/system", "--set", storePath]);
  await device.output([`${storePath}/bin/switch-to-configuration`, "switch"]);
}

async function byPublish(scene: Scene<Names>, name: Names): Promise<void> {
  const { storePath } = scene.depot.systems[name];
  await scene.publish(name);
  for (const deadline = performance.now() + LIMIT_MS; await scene.device.currentSystem() !== storePath;) {
    if (performance.now() > deadline) throw new Error(`Cannot see the release run: ${scene.agentLog.slice(-2000)}`);
    await pause(LOOK_MS);
  }
}

async function main(): Promise<void> {
  const specs = { factory: { generation: 1 }, odd: { generation: 2 }, even: { generation: 3 } };
  await using depot = await openDepot(specs);
  await using scene = await Scene.open(depot, {
    factory: "factory",
    agent: { pollSeconds: 3600 },
    serverFlags: ["--poll-seconds", "3600"],
  });
  await stock(scene, depot);
  const hand: number[] = [];
  for (let nth = 0; nth < 5; nth += 1) hand.push(await seconds(() => byHand(scene, nth % 2 === 0 ? "odd" : "even")));
  await byHand(scene, "factory");
  await scene.startAgent();
  await scene.waitFor("the first check-in", ({ state }) => state !== null);
  const published: number[] = [];
  for (let nth = 0; nth < PUBLISHES; nth += 1) {
    await pause(REST_MS);
    published.push(await seconds(() => byPublish(scene, nth % 2 === 0 ? "odd" : "even")));
    await scene.ended(nth + 1);
  }
  const [least, most] = [Math.min(...published), Math.max(...published)];
  print(`profile and switch by hand: median ${median(hand).toFixed(2)} s of ${hand.length}`);
  print(
    `publish to running, agent woken: median ${median(published).toFixed(2)} s of ${published.length} ` +
      `(${least.toFixed(2)} to ${most.toFixed(2)}), ${(median(published) / median(hand)).toFixed(1)} x by hand; ` +
      `goal: at most ${GOAL_SECONDS} s`,
  );
}

if (import.meta.main) await main();
