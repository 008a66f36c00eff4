/** The agent is killed hundreds of times, at random moments of real updates on real Nix. */

import assert from "node:assert/strict";
import { depotOfFile } from "./depot.ts";
import { emptyTally, hits, type Killed, killedUpdate, type Tally } from "./kills.ts";
import { seededRandom } from "./random.ts";
import { Scene } from "./scene.ts";

/** Kills that must hit an update under way, over all devices. */
const KILLS = Number(Deno.env.get("NIX_OTA_E2E_KILLS") ?? 200);
const SEED = Number(Deno.env.get("NIX_OTA_E2E_SEED") ?? 1);
/** Devices that are updated side by side. */
const DEVICES = 4;
/** With this the download takes as long as switch and health check. */
const SLOW = { fault: { kind: "slow", bytesPerSecond: 400_000 }, on: "nar", minBytes: 150_000 } as const;

const PHASES = { switchSleepSeconds: 0.3, healthSleepSeconds: 0.4 };
const depot = depotOfFile({
  first: { generation: 1, ...PHASES },
  second: { generation: 2, ...PHASES },
  third: { generation: 3, ...PHASES },
  bad: { generation: 4, ...PHASES, switchExit: 1 },
  worse: { generation: 5, ...PHASES, switchExit: 2 },
});

Deno.test(`${KILLS} SIGKILLs leave the old or the new system, a journal that can be read, and a device that converges`, async () => {
  const tallies = await Promise.all(
    Array.from({ length: DEVICES }, (_, index) => killUntil(Math.ceil(KILLS / DEVICES), SEED + index)),
  );
  const sum = emptyTally();
  for (const tally of tallies) {
    for (const [moment, count] of Object.entries(tally)) sum[moment as keyof Tally] += count;
  }
  const counts = Object.entries(sum).map(([moment, count]) => `${moment} ${count}`).join(", ");
  await Deno.stderr.write(new TextEncoder().encode(`SIGKILLs (seed ${SEED}): ${hits(sum)} of updates; ${counts}\n`));
  assert.ok(hits(sum) >= KILLS);
  if (KILLS < 200) return;
  for (const moment of ["download", "switch", "probation", "rollback"] as const) {
    assert.ok(sum[moment] >= 5, `only ${sum[moment]} kills hit: ${moment}`);
  }
});

async function killUntil(count: number, seed: number): Promise<Tally> {
  const random = seededRandom(seed);
  const tally = emptyTally();
  await using scene = await Scene.open(depot(), { factory: "first" });
  scene.cache.setFault(SLOW);
  await scene.startAgent();
  const killed: Killed<"first" | "second" | "third" | "bad" | "worse"> = {
    scene,
    good: ["first", "second", "third"],
    bad: ["bad", "worse"],
    at: "first",
  };
  while (hits(tally) < count) await killedUpdate(killed, random, tally);
  return tally;
}
