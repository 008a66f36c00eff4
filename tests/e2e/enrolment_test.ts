/** How a device comes to its server, with the programs of the operator: what gets in, what waits, what stays out. */

import assert from "node:assert/strict";
import { pause } from "../rig/wait.ts";
import { depotOfFile } from "./depot.ts";
import { CHANNEL } from "./release.ts";
import { DEVICE, Scene, STATE_DIR } from "./scene.ts";
import { sideBySide } from "./side_by_side.ts";

const depot = depotOfFile({
  factory: { generation: 1 },
  update: { generation: 2 },
  sick: { generation: 3, switchExit: 1 },
});

type FileScene = Scene<"factory" | "update" | "sick">;

/** Longer than a device waits between two check-ins. */
const TWO_POLLS_MS = 12_000;
const TOKEN_FILE = "/etc/nix-ota/token";

Deno.test("devices come to a server", async (t) => {
  await sideBySide(t, [
    { name: "a pending device gets nothing, an accepted one updates, and publish --wait says how", run: approval },
    { name: "a rejected device gets nothing any more", run: rejection },
    { name: "a device with a wrong token stays out, one with the right token is in", run: tokens },
    { name: "a device that lost its key is another device, until an operator gives up the old one", run: lostKey },
  ]);
});

async function approval(): Promise<void> {
  await using scene = await Scene.open(depot(), { factory: "factory", serverFlags: ["--enrolment", "approve"] });
  await scene.startAgent();
  const { fingerprint } = await scene.waitFor("the device", ({ status }) => status === "pending");
  await scene.publish("update");
  await assertGetsNothing(scene);
  const status = await scene.agent("status");
  assert.match(status.stdout, new RegExp(escaped(fingerprint)), "the device shows the key to compare");
  const wrong = await scene.operator("devices", "accept", DEVICE, "--fingerprint", `SHA256:${"A".repeat(43)}`);
  assert.notEqual(wrong.code, 0, "the fingerprint of another key accepts nothing");
  assert.equal((await scene.control.device(DEVICE))?.status, "pending");
  await accept(scene, fingerprint);
  await scene.converged("update");

  const failed = await publish(scene, "sick");
  assert.equal(failed.code, 6, failed.stderr);
  assert.match(failed.stdout + failed.stderr, /switch_failed/);
  assert.deepEqual(await scene.sight(), scene.sightOf("update"));
  const done = await publish(scene, "factory");
  assert.equal(done.code, 0, done.stderr);
  assert.deepEqual(await scene.sight(), scene.sightOf("factory"));
}

async function rejection(): Promise<void> {
  await using scene = await Scene.open(depot(), { factory: "factory" });
  await scene.startAgent();
  const { fingerprint } = await scene.waitFor("the device", ({ status }) => status === "accepted");
  const rejected = await scene.operator("devices", "reject", DEVICE, "--fingerprint", fingerprint);
  assert.equal(rejected.code, 0, rejected.stderr);
  await scene.publish("update");
  await assertGetsNothing(scene);
  await accept(scene, fingerprint);
  await scene.converged("update", 90_000);
}

async function tokens(): Promise<void> {
  const tokenFile = `${depot().folder}/enrol-tokens`;
  await Deno.writeTextFile(tokenFile, "right-token-of-32-characters-00000\n", { mode: 0o600 });
  const serverFlags = ["--enrolment", "token", "--enrol-token-file", tokenFile];
  const agent = { enrolTokenFile: TOKEN_FILE };
  await using scene = await Scene.open(depot(), { factory: "factory", serverFlags, agent });
  await scene.device.writeText(TOKEN_FILE, "wrong-token-of-32-characters-00000\n");
  await scene.startAgent();
  await scene.publish("update");
  await scene.seen("the refusal", () => Promise.resolve(/enrolment_refused/.test(scene.agentLog)));
  assert.equal(await scene.control.device(DEVICE), null, "the server keeps nothing of a stranger");
  await assertGetsNothing(scene);
  await scene.device.writeText(TOKEN_FILE, "right-token-of-32-characters-00000\n");
  await scene.converged("update", 90_000);
}

async function lostKey(): Promise<void> {
  await using scene = await Scene.open(depot(), { factory: "factory" });
  await scene.startAgent();
  const before = await scene.waitFor("the device", ({ state }) => state !== null);
  await scene.stopAgent("SIGTERM");
  await scene.device.output(["rm", `${STATE_DIR}/device.key`]);
  await scene.startAgent();
  await scene.seen("the refusal", () => Promise.resolve(/device_id_taken/.test(scene.agentLog)));
  await scene.publish("update");
  await assertGetsNothing(scene);
  assert.equal((await scene.control.device(DEVICE))?.fingerprint, before.fingerprint, "the name stays with its key");
  const rejected = await scene.operator("devices", "reject", DEVICE, "--fingerprint", before.fingerprint);
  assert.equal(rejected.code, 0, rejected.stderr);
  await scene.converged("update", 90_000);
  assert.notEqual((await scene.control.device(DEVICE))?.fingerprint, before.fingerprint);
}

/** Nothing is fetched and nothing changes, however long one waits. */
async function assertGetsNothing(scene: FileScene): Promise<void> {
  await pause(TWO_POLLS_MS);
  assert.deepEqual(await scene.sight(), scene.sightOf("factory"));
  assert.deepEqual(scene.cache.requests, []);
  assert.equal((await scene.journal())?.state.kind ?? "idle", "idle");
}

async function accept(scene: FileScene, fingerprint: string): Promise<void> {
  const accepted = await scene.operator("devices", "accept", DEVICE, "--fingerprint", fingerprint);
  assert.equal(accepted.code, 0, accepted.stderr);
}

/** Publishes with the program, and waits for the device. */
async function publish(scene: FileScene, name: "factory" | "update" | "sick"): ReturnType<FileScene["operator"]> {
  const { url, keys } = scene.substituter;
  return await scene.operator(
    ...["publish", "--key", depot().keyFile, "--channel", CHANNEL, "--store-path", scene.system(name).storePath],
    ...["--substituter", url, "--substituter-key", keys.join(","), "--health-seconds", "30"],
    ...["--wait", "--wait-timeout", "60s"],
  );
}

function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
