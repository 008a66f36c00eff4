/** Everything that can go wrong from the moment a device touches its system: switches, health, reboots, power, servers. */

import assert from "node:assert/strict";
import type { DeviceRow } from "@nix-ota/common";
import { pause } from "../rig/wait.ts";
import { depotOfFile } from "./depot.ts";
import { Scene } from "./scene.ts";
import { sideBySide } from "./side_by_side.ts";

const depot = depotOfFile({
  factory: { generation: 1 },
  update: { generation: 2 },
  failing: { generation: 3, switchExit: 1 },
  warning: { generation: 4, switchExit: 4 },
  hanging: { generation: 5, switchSleepSeconds: 3600 },
  sick: { generation: 6, healthExit: 7 },
  thinking: { generation: 7, healthSleepSeconds: 3600 },
  slowSwitch: { generation: 8, switchSleepSeconds: 3 },
  slowHealth: { generation: 9, healthSleepSeconds: 4 },
  sickWithWarning: { generation: 10, switchExit: 4, healthExit: 1 },
});

type Names = keyof ReturnType<typeof depot>["systems"];
type FileScene = Scene<Names>;
type State = NonNullable<DeviceRow["state"]>;

/** A release's own time for its health is at least 30 s. */
const HEALTH_LIMIT_MS = 60_000;

Deno.test("an activation that fails ends on the system that ran before", async (t) => {
  await sideBySide(t, [
    { name: "the health check fails: health_failed", run: () => rollsBack("sick", "health_failed:exit 7") },
    { name: "the health check never ends: health_timeout", run: () => rollsBack("thinking", "health_timeout") },
    {
      name: "units fail and the health check as well: health_failed",
      run: () => rollsBack("sickWithWarning", "health_failed:exit 1"),
    },
    { name: "the switch fails: switch_failed", run: () => rollsBack("failing", "switch_failed:exit 1") },
    { name: "the switch hangs: switch_timeout", run: hangingSwitch },
    { name: "units fail and the health check passes: succeeded_with_warnings", run: failedUnits },
    { name: "the health check passes late: succeeded", run: lateHealth },
    { name: "a release that was rolled back is not tried again, and the next one is", run: badOnce },
  ]);
});

Deno.test("an activation outlives the agent, the boot and the server", async (t) => {
  await sideBySide(t, [
    { name: "the agent is killed while the health check runs", run: killedInProbation },
    { name: "the agent is killed while the switch runs, and comes back before its end", run: () => killedInSwitch(0) },
    {
      name: "the agent is killed while the switch runs, and comes back after its end",
      run: () => killedInSwitch(4_000),
    },
    { name: "the agent is stopped while the switch runs", run: stoppedInSwitch },
    { name: "the power goes while the switch runs", run: powerCutInSwitch },
    { name: "a release for the next boot waits for it", run: nextBoot },
    { name: "a device that boots the old system again says so: reboot_reverted", run: bootsTheOldSystem },
    { name: "the server is gone from before the switch until after it", run: serverGone },
    { name: "the network is gone from before the switch until after it", run: networkGone },
    { name: "the server lost all its data", run: serverForgets },
    { name: "the server was restored from an old backup: revision_too_old", run: serverRestored },
  ]);
});

async function rollsBack(name: Names, reason: string): Promise<void> {
  await using scene = await Scene.open(depot(), { factory: "factory" });
  await scene.startAgent();
  const { revision } = await scene.publish(name);
  assertRolledBack(await scene.ended(revision, HEALTH_LIMIT_MS), reason);
  await assertBack(scene);
  const actions = (await scene.device.switchLog()).slice(-2).map(({ action, storePath }) => [action, storePath]);
  assert.deepEqual(actions, [
    ["switch", scene.system(name).storePath],
    ["switch", scene.system("factory").storePath],
  ]);
}

async function hangingSwitch(): Promise<void> {
  await using scene = await Scene.open(depot(), { factory: "factory", agent: { switchTimeoutSeconds: 5 } });
  await scene.startAgent();
  const { revision } = await scene.publish("hanging");
  assertRolledBack(await scene.ended(revision), "switch_timeout");
  await assertBack(scene);
  const { stdout } = await scene.device.exec(["sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '"]);
  assert.doesNotMatch(stdout, /switch-to-configuration|sleep 3600/, "nothing of the switch runs on");
}

async function failedUnits(): Promise<void> {
  await using scene = await Scene.open(depot(), { factory: "factory" });
  await scene.startAgent();
  const { revision } = await scene.publish("warning");
  assert.equal((await scene.ended(revision)).result, "succeeded_with_warnings");
  assert.deepEqual(await scene.sight(), scene.sightOf("warning"));
}

async function lateHealth(): Promise<void> {
  const healthCmd = "/run/current-system/sw/bin/test -e /var/log/warmed-up";
  await using scene = await Scene.open(depot(), { factory: "factory", agent: { healthCmd } });
  await scene.startAgent();
  const { revision } = await scene.publish("update");
  await scene.waitFor("the probation", ({ state }) => state?.phase === "probation");
  await pause(3_000);
  assert.equal((await scene.journal())?.state.kind, "probation");
  await scene.device.writeText("/var/log/warmed-up", "");
  assert.equal((await scene.ended(revision)).result, "succeeded");
  assert.deepEqual(await scene.sight(), scene.sightOf("update"));
}

async function badOnce(): Promise<void> {
  await using scene = await Scene.open(depot(), { factory: "factory" });
  await scene.startAgent();
  const { revision } = await scene.publish("failing");
  assertRolledBack(await scene.ended(revision), "switch_failed:exit 1");
  const switches = (await scene.device.switchLog()).length;
  for (let seconds = 0; seconds < 8; seconds++) {
    await scene.agent("check-now");
    await pause(1_000);
  }
  assert.equal((await scene.device.switchLog()).length, switches, "nothing was switched again");
  await scene.stopAgent("SIGKILL");
  await scene.startAgent();
  await pause(2_000);
  assert.equal((await scene.device.switchLog()).length, switches, "not after a restart either");
  await scene.publish("update");
  await scene.converged("update");
}

async function killedInProbation(): Promise<void> {
  await using scene = await Scene.open(depot(), { factory: "factory" });
  await scene.startAgent();
  const { revision } = await scene.publish("slowHealth");
  await scene.waitFor("the probation", ({ state }) => state?.phase === "probation");
  await scene.stopAgent("SIGKILL");
  assert.equal((await scene.journal())?.state.kind, "probation");
  await scene.startAgent();
  assert.equal((await scene.ended(revision)).result, "succeeded");
  assert.deepEqual(await scene.sight(), scene.sightOf("slowHealth"));
}

async function killedInSwitch(awayMs: number): Promise<void> {
  await using scene = await Scene.open(depot(), { factory: "factory" });
  await scene.startAgent();
  const { revision } = await scene.publish("slowSwitch");
  await switching(scene, "slowSwitch");
  await scene.stopAgent("SIGKILL");
  await pause(awayMs);
  await scene.startAgent();
  assert.equal((await scene.ended(revision)).result, "succeeded");
  assert.deepEqual(await scene.sight(), scene.sightOf("slowSwitch"));
  assert.equal(await switches(scene, "slowSwitch"), 1, "the switch that outlived the agent was the only one");
}

async function stoppedInSwitch(): Promise<void> {
  await using scene = await Scene.open(depot(), { factory: "factory" });
  await scene.startAgent();
  const { revision } = await scene.publish("slowSwitch");
  await switching(scene, "slowSwitch");
  await scene.stopAgent("SIGTERM");
  await scene.startAgent();
  assert.equal((await scene.ended(revision)).result, "succeeded");
  assert.equal(await switches(scene, "slowSwitch"), 1);
}

async function powerCutInSwitch(): Promise<void> {
  await using scene = await Scene.open(depot(), { factory: "factory" });
  await scene.startAgent();
  const { revision } = await scene.publish("slowSwitch");
  await switching(scene, "slowSwitch");
  await scene.powerCut();
  const { current } = await scene.sight();
  const both = [scene.system("factory").storePath, scene.system("slowSwitch").storePath];
  assert.ok(both.includes(current ?? ""), `boots ${current}`);
  await scene.startAgent();
  const { result } = await scene.ended(revision);
  assert.equal(result, "succeeded");
  assert.deepEqual(await scene.sight(), scene.sightOf("slowSwitch"));
}

async function nextBoot(): Promise<void> {
  await using scene = await Scene.open(depot(), { factory: "factory" });
  await scene.startAgent();
  const { revision } = await scene.publish("update", { mode: "boot" });
  const waiting = await scene.waitFor("the wait for a boot", ({ state }) => state?.result === "pending_reboot");
  assert.equal(waiting.state?.phase, "rebooting");
  const { storePath } = scene.system("update");
  assert.deepEqual(await scene.sight(), { ...scene.sightOf("update"), current: scene.system("factory").storePath });
  await scene.reboot();
  assert.equal((await scene.sight()).current, storePath);
  await scene.startAgent();
  assert.equal((await scene.ended(revision)).result, "succeeded");
  assert.deepEqual(await scene.sight(), scene.sightOf("update"));
}

async function bootsTheOldSystem(): Promise<void> {
  await using scene = await Scene.open(depot(), { factory: "factory" });
  await scene.startAgent();
  const { revision } = await scene.publish("update", { mode: "boot" });
  await scene.waitFor("the wait for a boot", ({ state }) => state?.result === "pending_reboot");
  // What systemd-boot does once the tries of the new entry are used up.
  await scene.device.writeText("/boot/loader/loader.conf", "timeout 5\ndefault nixos-generation-1.conf\n");
  await scene.reboot();
  await scene.startAgent();
  assertRolledBack(await scene.ended(revision), "reboot_reverted");
  await assertBack(scene);
}

async function serverGone(): Promise<void> {
  await outOfReach((scene) => scene.control.stop(), (scene) => scene.control.start());
}

async function networkGone(): Promise<void> {
  await outOfReach((scene) => scene.device.net("down"), (scene) => scene.device.net("up"));
}

/** The device cannot reach its server from before the profile is set until all is over, and reports later. */
async function outOfReach(
  leave: (scene: FileScene) => Promise<void>,
  comeBack: (scene: FileScene) => Promise<void>,
): Promise<void> {
  const untilTold = "touch /rig/waits; while [ ! -e /rig/go ]; do sleep 0.05; done";
  await using scene = await Scene.open(depot(), { factory: "factory", beforeNix: { "nix-env": untilTold } });
  await scene.startAgent();
  const { revision } = await scene.publish("update");
  await scene.seen("the agent before the switch", async () => await scene.device.readText("/rig/waits") !== undefined);
  await leave(scene);
  await scene.device.writeText("/rig/go", "");
  await scene.seen("the end of the switch", async () => (await scene.journal())?.state.kind === "idle");
  assert.deepEqual(await scene.sight(), scene.sightOf("update"));
  await comeBack(scene);
  assert.equal((await scene.ended(revision)).result, "succeeded");
}

async function serverForgets(): Promise<void> {
  await using scene = await Scene.open(depot(), { factory: "factory" });
  await scene.startAgent();
  await scene.publish("failing", { revision: 6 });
  await scene.publish("update", { revision: 7 });
  await scene.converged("update");
  await scene.control.stop();
  await Deno.remove(scene.control.dataDir, { recursive: true });
  await scene.control.start();
  await scene.waitFor("the device again", ({ state }) => state !== null);
  assert.deepEqual(await scene.sight(), scene.sightOf("update"));
  await scene.publish("slowHealth", { revision: 1 });
  const { state } = await scene.waitFor("the refusal", ({ state }) => state?.result === "refused");
  assert.equal(state?.reason, "revision_too_old");
  assert.deepEqual(await scene.sight(), scene.sightOf("update"));
  await scene.publish("slowHealth", { revision: 8 });
  await scene.converged("slowHealth");
}

async function serverRestored(): Promise<void> {
  await using scene = await Scene.open(depot(), { factory: "factory" });
  const { control } = scene;
  await scene.startAgent();
  await scene.publish("slowHealth");
  await scene.converged("slowHealth");
  await control.stop();
  const backup = `${depot().folder}/${crypto.randomUUID()}`;
  await copyFolder(control.dataDir, backup);
  await control.start();
  await scene.publish("update");
  await scene.converged("update");
  await control.stop();
  await Deno.remove(control.dataDir, { recursive: true });
  await copyFolder(backup, control.dataDir);
  await control.start();
  const { state } = await scene.waitFor("the refusal", ({ state }) => state?.result === "refused");
  assert.equal(state?.reason, "revision_too_old");
  assert.deepEqual(await scene.sight(), scene.sightOf("update"));
  await scene.publish("warning", { revision: 3 });
  await scene.converged("warning");
}

function assertRolledBack({ result, reason, detail }: State, wanted: string): void {
  assert.deepEqual([result, reason], ["rolled_back", wanted], `${detail}`);
}

/** The device is entirely on the factory's system again, and the failed one is not kept for ever. */
async function assertBack(scene: FileScene): Promise<void> {
  assert.deepEqual(await scene.sight(), scene.sightOf("factory"));
  await scene.seen("the root of what failed to go", async () => !("next" in await scene.roots()));
}

/** Waits until a system's switch has begun. */
async function switching(scene: FileScene, name: Names): Promise<void> {
  await scene.seen(`the switch to ${name}`, async () => await switches(scene, name) > 0);
}

async function switches(scene: FileScene, name: Names): Promise<number> {
  const { storePath } = scene.system(name);
  return (await scene.device.switchLog()).filter((call) => call.storePath === storePath && call.action === "switch")
    .length;
}

async function copyFolder(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for await (const { name, isFile } of Deno.readDir(from)) {
    if (isFile) await Deno.copyFile(`${from}/${name}`, `${to}/${name}`);
  }
}
