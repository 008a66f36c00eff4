import assert from "node:assert/strict";
import { useInstantCrypto } from "./fake/crypto.ts";
import { createFleet } from "./fake/device.ts";
import { type MatrixOptions, type MatrixResult, runMatrix } from "./fake/matrix.ts";
import { MUTANTS } from "./fake/mutants.ts";
import { createScenarios, type Scenario } from "./fake/scenarios.ts";

/** The gate before every commit takes a part of the matrix; `deno task test` takes the whole. */
const QUICK = Deno.env.get("NIX_OTA_QUICK") === "1";
/** Cut points that the matrix must have at least. */
const CUTS_MIN = QUICK ? 1_500 : 25_000;
const SEEDS = QUICK ? [3] : [2, 3]; // One with a Nix that syncs store paths by itself, one without.

function emptyResult(): MatrixResult {
  return { cuts: 0, worlds: 0, doubleCuts: 0, steps: 0, failures: [] };
}

async function setUp(): Promise<{ scenarios: readonly Scenario[]; options: Omit<MatrixOptions, "seed"> }> {
  const fleet = await createFleet();
  const options = { fleet, stepEvery: 1, randomCuts: 3, doubleCutEvery: 7, failuresMax: 20 };
  return { scenarios: await createScenarios(fleet), options };
}

function say(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

Deno.test("the agent comes through every crash at every step of every scenario", async () => {
  const { scenarios, options } = await setUp();
  using _ = useInstantCrypto();
  const result = emptyResult();
  for (const seed of SEEDS) {
    for (const scenario of scenarios) await runMatrix(scenario, { ...options, stepEvery: QUICK ? 8 : 1, seed }, result);
  }
  const { cuts, worlds, doubleCuts, steps, failures } = result;
  say(
    `crash matrix: ${cuts} cuts at ${steps} steps, ${doubleCuts} of them double, ${worlds} different worlds, ${failures.length} failures`,
  );
  assert.deepEqual(failures, []);
  assert.ok(cuts >= CUTS_MIN, `only ${cuts} cuts`);
});

Deno.test("the crash matrix finds every agent with one mistake", async (t) => {
  const { scenarios, options } = await setUp();
  using _ = useInstantCrypto();
  for (const { name, mutate } of MUTANTS) {
    await t.step(name, async () => {
      const result = emptyResult();
      for (const scenario of scenarios) {
        if (result.failures.length > 0) break;
        try {
          await runMatrix(
            scenario,
            { ...options, seed: 3, randomCuts: 1, doubleCutEvery: 1e9, failuresMax: 1, mutate },
            result,
          );
        } catch (error) {
          result.failures.push(String(error)); // It does not even come through without a crash.
        }
      }
      assert.notEqual(result.failures.length, 0, "not found");
      say(`  found after ${result.cuts} cuts: ${result.failures[0]}`);
    });
  }
});
