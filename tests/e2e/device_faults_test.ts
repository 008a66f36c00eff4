/** What can be wrong with a device itself, or with what it was told, while an update is offered. On real Nix. */

import assert from "node:assert/strict";
import { openNetGate } from "../rig/net_gate.ts";
import { depotOfFile } from "./depot.ts";
import { Scene } from "./scene.ts";
import { sideBySide } from "./side_by_side.ts";

const LARGE_BYTES = 8_000_000;
/** For the factory's system and the large one. */
const STORE_BYTES = 48_000_000;
/** Ten seconds for the large path, so that there is a middle to its download. */
const SLOW = {
  fault: { kind: "slow", bytesPerSecond: LARGE_BYTES / 10 },
  on: "nar",
  minBytes: LARGE_BYTES,
} as const;

const depot = depotOfFile({
  factory: { generation: 1 },
  update: { generation: 2 },
  large: { generation: 3, deltaBytes: LARGE_BYTES },
});

type FileScene = Scene<"factory" | "update" | "large">;

Deno.test("a device outlives its own troubles and goes on by itself", async (t) => {
  await sideBySide(t, [
    { name: "a cache that refuses connections: cache_unreachable", run: refusedConnection },
    {
      name: "a cache key that nobody trusts: signature_untrusted, until a release names the right one",
      run: strangeKey,
    },
    { name: "no room for the update: insufficient_space, before the first byte", run: noRoom },
    { name: "a disk that fills up in the middle of a download: insufficient_space", run: fillsUp },
    { name: "a disk that is full to its last byte: nothing changes until there is room", run: full },
    { name: "a store that is mounted read-only, as on NixOS, is no obstacle", run: readOnlyStore },
    { name: "a disk that turns read-only: nothing changes until it can be written again", run: readOnlyDisk },
    { name: "a release that is taken back leaves nothing behind", run: takenBack },
  ]);
});

async function refusedConnection(): Promise<void> {
  await using scene = await Scene.open(depot(), { factory: "factory" });
  const gate = openNetGate(scene.cache.url);
  try {
    await gate.set("down");
    await scene.startAgent();
    const { revision } = await scene.publish("update", { substituters: [{ ...scene.substituter, url: gate.url }] });
    await assertFails(scene, { revision, comes: "cache_unreachable" });
    await gate.set("up");
    await scene.converged("update");
  } finally {
    await gate.close();
  }
}

async function strangeKey(): Promise<void> {
  await using scene = await Scene.open(depot(), { factory: "factory" });
  const { publicKey } = await depot().ci.makeKey("stranger-1");
  await scene.startAgent();
  const { url } = scene.substituter;
  const { revision } = await scene.publish("update", { substituters: [{ url, keys: [publicKey.trim()] }] });
  await assertFails(scene, { revision, comes: "signature_untrusted" });
  await scene.publish("update");
  await scene.converged("update");
}

async function noRoom(): Promise<void> {
  const agent = { reserveMiB: 16 }; // Collecting garbage gives 8 MiB for a moment, which Nix keeps for just that.
  await using scene = await Scene.open(depot(), { factory: "factory", storeBytes: STORE_BYTES, agent });
  await leaveFree(scene, LARGE_BYTES / 2);
  await scene.startAgent();
  const { revision } = await scene.publish("large");
  await assertFails(scene, { revision, comes: "insufficient_space" });
  assert.deepEqual(scene.cache.requests.filter(({ path }) => path.startsWith("nar/")), []);
  await scene.device.output(["rm", "/nix/filler"]);
  await scene.converged("large");
}

async function fillsUp(): Promise<void> {
  const agent = { reserveMiB: 8 }; // Half of it is left when the agent gives up.
  await using scene = await Scene.open(depot(), { factory: "factory", storeBytes: STORE_BYTES, agent });
  scene.cache.setFault(SLOW);
  await scene.startAgent();
  const { revision } = await scene.publish("large");
  await scene.waitFor("the download", ({ state }) => state?.phase === "staging");
  await leaveFree(scene, 3_000_000);
  await assertFails(scene, { revision, comes: "insufficient_space" });
  scene.cache.setFault();
  await scene.device.output(["rm", "/nix/filler"]);
  await scene.converged("large");
}

async function full(): Promise<void> {
  await using scene = await Scene.open(depot(), { factory: "factory", storeBytes: STORE_BYTES });
  scene.cache.setFault(SLOW);
  await scene.startAgent();
  await scene.publish("large");
  await scene.waitFor("the download", ({ state }) => state?.phase === "staging");
  await leaveFree(scene, 0);
  await scene.seen("the agent's complaint", () => Promise.resolve(/No space left on device/.test(scene.agentLog)));
  assert.deepEqual(await scene.sight(), scene.sightOf("factory"));
  scene.cache.setFault();
  await scene.device.output(["rm", "/nix/filler"]);
  await scene.converged("large");
  assert.equal(await scene.isWhole("large"), true);
}

async function readOnlyStore(): Promise<void> {
  await using scene = await Scene.open(depot(), { factory: "factory" });
  await scene.device.output([
    ...["sh", "-ec", "mount --bind /nix/store /nix/store; mount -o remount,bind,ro /nix/store"],
  ]);
  assert.equal((await scene.device.exec(["touch", "/nix/store/new"])).code, 1);
  await scene.startAgent();
  await scene.publish("update");
  await scene.converged("update");
}

async function readOnlyDisk(): Promise<void> {
  await using scene = await Scene.open(depot(), { factory: "factory" });
  await scene.startAgent();
  await scene.waitFor("the agent", ({ state }) => state !== null);
  await scene.device.output(["sh", "-ec", "mount --bind /nix /nix; mount -o remount,bind,ro /nix"]);
  await scene.publish("update");
  await scene.seen("the agent's complaint", () => Promise.resolve(/[Rr]ead-only file system/.test(scene.agentLog)));
  assert.deepEqual(await scene.sight(), scene.sightOf("factory"));
  await scene.device.output(["umount", "/nix"]);
  await scene.converged("update");
}

async function takenBack(): Promise<void> {
  await using scene = await Scene.open(depot(), { factory: "factory" });
  scene.cache.setFault({ fault: { kind: "corrupted" }, on: "nar", minBytes: LARGE_BYTES });
  await scene.startAgent();
  const { revision } = await scene.publish("large");
  await assertFails(scene, { revision, comes: "content_corrupt" });
  const back = await scene.publish("factory");
  const { result, reason } = await scene.ended(back.revision);
  assert.deepEqual([result, reason], ["succeeded", "already_running"]);
  assert.deepEqual(Object.keys(await scene.roots()), ["current"]);
  await scene.device.output(["nix-store", "--gc"]);
  const kept = await scene.device.output(["nix-store", "--query", "--requisites", "/run/current-system"]);
  assert.deepEqual(kept.trim().split("\n").sort(), scene.system("factory").paths);
  const { paths } = scene.system("large");
  const own = paths.filter((path) => !scene.system("factory").paths.includes(path));
  const { stderr } = await scene.device.exec(["nix-store", "--check-validity", "--print-invalid", ...own]);
  assert.equal(stderr, "");
}

/** The device says why it did not take a release on, and nothing of it has changed. */
async function assertFails(
  scene: FileScene,
  { revision, comes }: { revision: number; comes: string },
): Promise<void> {
  const { result, reason, detail } = await scene.ended(revision);
  assert.deepEqual([result, reason], ["failed_before_activation", comes], `${detail}`);
  assert.deepEqual(await scene.sight(), scene.sightOf("factory"));
  assert.equal(await scene.device.generation(), 1);
}

/** Fills the device's disk up to so many bytes, with a file at /nix/filler. */
async function leaveFree(scene: FileScene, bytes: number): Promise<void> {
  const printed = await scene.device.output(["df", "--output=avail", "-B1", "/nix"]);
  const free = Number(printed.trim().split("\n").at(-1));
  const filling = ["sh", "-c", `head -c ${free - bytes} /dev/zero > /nix/filler`];
  const { code } = await scene.device.exec(filling);
  if (bytes > 0) assert.equal(code, 0);
}
