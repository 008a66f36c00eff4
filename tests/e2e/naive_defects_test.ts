/** The defects that an updater shows on real Nix when it believes what Nix says: none of them is the agent's. */

import assert from "node:assert/strict";
import { SYSTEM_PROFILE } from "../rig/device.ts";
import { depotOfFile } from "./depot.ts";
import { Scene } from "./scene.ts";
import { sideBySide } from "./side_by_side.ts";

const UPDATE_BYTES = 2_000_000;
const depot = depotOfFile({
  factory: { generation: 1 },
  other: { generation: 2 },
  update: { generation: 3, deltaBytes: UPDATE_BYTES },
  failing: { generation: 4, switchExit: 1 },
  lying: { generation: 5, becomesCurrent: false },
}, { missing: ["update"] });

type FileScene = Scene<"factory" | "other" | "update" | "failing" | "lying">;

Deno.test("the agent has none of the defects of a naive updater", async (t) => {
  await sideBySide(t, [
    { name: "what a cache did not have a moment ago is asked for again at once", run: publishedTooEarly },
    { name: "where a cache had an archive a moment ago is asked anew", run: compressedAnew },
    { name: "paths that a power cut left valid and empty are found and fetched again", run: emptyAfterPowerCut },
    { name: "paths of the running system that a power cut emptied are found as well", run: emptyDependency },
    { name: "the way back leads to what ran before, not to the generation before", run: previousNotNewest },
    { name: "garbage collection at every step of an update takes nothing of it", run: garbageEverywhere },
    { name: "garbage collection during a download takes nothing of it", run: garbageWhileFetching },
    { name: "a switch that exits 0 and changes nothing is no success: switch_no_effect", run: switchWithoutEffect },
  ]);
});

async function publishedTooEarly(): Promise<void> {
  const cacheDir = await copyOfCache();
  await using scene = await Scene.open(depot(), { factory: "factory", cacheDir });
  await scene.startAgent();
  const { revision } = await scene.publish("update");
  const { result, reason } = await scene.ended(revision);
  assert.deepEqual([result, reason], ["failed_before_activation", "path_missing"]);
  await stock(cacheDir);
  await scene.converged("update");
}

async function compressedAnew(): Promise<void> {
  const cacheDir = await copyOfCache();
  await stock(cacheDir);
  await using scene = await Scene.open(depot(), { factory: "factory", cacheDir });
  scene.cache.setFault({ fault: { kind: "status", status: 404 }, on: "nar", minBytes: UPDATE_BYTES });
  await scene.startAgent();
  const { revision } = await scene.publish("update");
  assert.equal((await scene.ended(revision)).reason, "path_missing");
  await Deno.remove(cacheDir, { recursive: true });
  await stock(cacheDir, "none");
  scene.cache.setFault();
  await scene.converged("update");
}

async function emptyAfterPowerCut(): Promise<void> {
  const cacheDir = await copyOfCache();
  await stock(cacheDir);
  await using scene = await Scene.open(depot(), { factory: "factory", cacheDir });
  const { device } = scene;
  const { storePath, paths } = scene.system("update");
  const own = paths.filter((path) => !scene.system("factory").paths.includes(path));
  await device.output(["nix-store", "--realise", storePath, ...fetching(scene)]);
  await scene.powerCut({ lose: own });
  const { code } = await device.exec([`${storePath}/bin/switch-to-configuration`, "switch"]);
  assert.equal(code, 0, "the empty script ends well");
  assert.equal(await scene.holds("update"), true, "Nix calls the paths valid");
  assert.equal(await scene.isWhole("update"), false);
  await scene.startAgent();
  await scene.publish("update");
  await scene.converged("update");
  assert.equal(await scene.isWhole("update"), true);
  assert.deepEqual(await scene.sight(), scene.sightOf("update"));
}

async function emptyDependency(): Promise<void> {
  const cacheDir = await copyOfCache();
  await stock(cacheDir);
  await using scene = await Scene.open(depot(), { factory: "factory", cacheDir });
  const shared = scene.system("factory").paths.filter((path) => scene.system("update").paths.includes(path));
  const library = shared.find((path) => path.includes("glibc"));
  assert.ok(library);
  await scene.powerCut({ lose: [library] });
  await scene.startAgent();
  await scene.publish("update");
  await scene.converged("update");
  assert.equal(await scene.isWhole("update"), true);
}

async function previousNotNewest(): Promise<void> {
  await using scene = await Scene.open(depot(), { factory: "factory" });
  const { device } = scene;
  const { storePath } = scene.system("other");
  // Someone tried another system by hand, and went back by hand.
  await device.output(["nix-store", "--realise", storePath, ...fetching(scene)]);
  await device.output(["nix-env", "--profile", SYSTEM_PROFILE, "--set", storePath]);
  await device.output([`${storePath}/bin/switch-to-configuration`, "switch"]);
  await device.output(["nix-env", "--profile", SYSTEM_PROFILE, "--switch-generation", "1"]);
  await device.output([`${scene.system("factory").storePath}/bin/switch-to-configuration`, "switch"]);
  await scene.startAgent();
  const { revision } = await scene.publish("failing");
  const { result, reason } = await scene.ended(revision);
  assert.deepEqual([result, reason], ["rolled_back", "switch_failed:exit 1"]);
  assert.deepEqual(await scene.sight(), scene.sightOf("factory"));
  const went = (await device.switchLog()).map((call) => call.storePath).slice(-2);
  assert.deepEqual(went, [scene.system("failing").storePath, scene.system("factory").storePath]);
}

async function garbageEverywhere(): Promise<void> {
  const cacheDir = await copyOfCache();
  await stock(cacheDir);
  const collect = "echo >> /rig/collected; /rig/bin/nix-store --gc > /dev/null 2>&1";
  const beforeNix = { "nix": collect, "nix-env": collect, "nix-store": collect };
  await using scene = await Scene.open(depot(), { factory: "factory", cacheDir, beforeNix });
  await scene.startAgent();
  const { revision } = await scene.publish("update");
  assert.equal((await scene.ended(revision)).result, "succeeded");
  const collections = (await scene.device.readText("/rig/collected") ?? "").length;
  assert.ok(collections >= 3, `collected only ${collections} times`);
  const nars = scene.cache.requests.filter(({ path, method }) => path.startsWith("nar/") && method === "GET");
  assert.equal(new Set(nars.map(({ path }) => path)).size, nars.length, "nothing was fetched twice");
  assert.equal(await scene.holds("factory"), true, "the way back is kept");
}

async function garbageWhileFetching(): Promise<void> {
  const cacheDir = await copyOfCache();
  await stock(cacheDir);
  await using scene = await Scene.open(depot(), { factory: "factory", cacheDir });
  const slow = { kind: "slow", bytesPerSecond: UPDATE_BYTES / 3 } as const;
  scene.cache.setFault({ fault: slow, on: "nar", minBytes: UPDATE_BYTES });
  await scene.startAgent();
  const { revision } = await scene.publish("update");
  await scene.waitFor("the download", ({ state }) => state?.phase === "staging");
  let collections = 0;
  while ((await scene.journal())?.state.kind === "staging") {
    await scene.device.output(["nix-store", "--gc"]);
    collections++;
  }
  assert.ok(collections >= 3, `collected only ${collections} times`);
  assert.equal((await scene.ended(revision)).result, "succeeded");
  assert.equal(await scene.isWhole("update"), true);
}

async function switchWithoutEffect(): Promise<void> {
  await using scene = await Scene.open(depot(), { factory: "factory" });
  await scene.startAgent();
  const { revision } = await scene.publish("lying");
  const { result, reason } = await scene.ended(revision);
  assert.deepEqual([result, reason], ["rolled_back", "switch_no_effect"]);
  assert.deepEqual(await scene.sight(), scene.sightOf("factory"));
}

/** A cache of the scene's own, without the update. */
async function copyOfCache(): Promise<string> {
  const cacheDir = await Deno.makeTempDir({ dir: depot().folder });
  const { factory, other, failing, lying } = depot().systems;
  await depot().ci.copyToCache([factory, other, failing, lying], cacheDir, { key: depot().cacheKey });
  return cacheDir;
}

/** Completes such a cache. */
async function stock(cacheDir: string, compression: "zstd" | "none" = "zstd"): Promise<void> {
  await depot().ci.copyToCache([depot().systems.update], cacheDir, { key: depot().cacheKey, compression });
}

/** Options for a fetch by hand. */
function fetching({ substituter }: FileScene): readonly string[] {
  return ["--option", "substituters", substituter.url, "--option", "trusted-public-keys", substituter.keys.join(" ")];
}
