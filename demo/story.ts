/**
 * The story that the demo tells: one device, three releases, three attacks. Each step says what it expects.
 * @module
 */
import type { DeviceRow } from "@nix-ota/common";
import type { BuiltSystem } from "../tests/rig/closures.ts";
import { forgeRelease, plantRelease, showRevision } from "./attacker.ts";
import { type ControlServer, DATABASE_NAME } from "../tests/rig/control_server.ts";
import { commandLine, type Finished, runProgram } from "../tests/rig/programs.ts";
import type { DeviceProcess } from "../tests/rig/device.ts";
import type { Report } from "./report.ts";
import type { World } from "./world.ts";

const DEVICE = "fridge-007";
const CHANNEL = "prod";
/** How long a device gets for what takes it a second or two. */
const LIMIT_MS = 60_000;

/** Everything a step can use. */
export interface Scene {
  readonly world: World;
  readonly control: ControlServer;
  readonly report: Report;
  /** Environment for programs that run inside a machine, whose HOME is its own. */
  readonly env: Record<string, string>;
}

/** How much of a log is shown when a step went wrong, in lines. */
const LOG_LINES = 8;

/**
 * Plays the whole story; ends early when a step went wrong, for each builds on those before it.
 * @returns What the programs said last, where a step went wrong.
 */
export async function playStory(scene: Scene): Promise<string | null> {
  const agent = await meetTheDevice(scene);
  for (const part of [updateTwice, survivePoorRelease, refuseReplay, refuseTampering, refuseForgery]) {
    if (scene.report.rows.some((row) => !row.ok)) break;
    await part(scene);
  }
  if (scene.report.rows.every((row) => row.ok)) return null;
  const tail = (name: string, log: string): string[] =>
    log.trim().split("\n").slice(-LOG_LINES).map((line) => `  ${name}: ${line}`);
  const agentLog = agent === null ? "" : agent.stdout() + agent.stderr();
  return [...tail("agent", agentLog), ...tail("server", scene.control.log())].join("\n");
}

async function meetTheDevice(scene: Scene): Promise<DeviceProcess | null> {
  const { report, control, world } = scene;
  let agent: DeviceProcess | null = null;
  await report.step(
    "make a release key",
    { says: "a public key to print, a file of mode 600", matches: /^public key [A-Za-z0-9+/]{43}=, file of mode 600$/ },
    () => makeKey(scene, "sign"),
  );
  await report.step("start the control server on an empty folder", "ready", async () => {
    await control.start();
    report.say(`watch it live at ${control.url}`);
    return "ready";
  });
  await report.step(
    "start the agent on a device that trusts this key",
    "pending, offered nothing, runs 24.11.1",
    async () => {
      agent = await startAgent(scene);
      const device = await control.waitForDevice(DEVICE, { until: () => true, limitMs: LIMIT_MS });
      return `${device.status}, offered ${device.state?.target?.revision ?? "nothing"}, runs ${await runningVersion(
        world,
      )}`;
    },
  );
  await report.step("accept the device by its fingerprint", "accepted", async () => {
    const fingerprint = (await control.device(DEVICE))?.fingerprint ?? "";
    const token = ["--server", control.url, "--token-file", control.tokenFile];
    mustSucceed(await runProgram("nix-ota", ["devices", "accept", DEVICE, "--fingerprint", fingerprint, ...token]));
    return (await control.device(DEVICE))?.status ?? "gone";
  });
  return agent;
}

async function updateTwice(scene: Scene): Promise<void> {
  const { report, world } = scene;
  const { factory, first, second } = world.systems;
  await report.step(
    "publish revision 1 and wait for the device",
    "exit 0, runs 24.11.2",
    () => publishAndWait(scene, first),
  );
  const before = world.cache.requests.length;
  await report.step(
    "publish revision 2 and wait for the device",
    "exit 0, runs 24.11.3",
    () => publishAndWait(scene, second),
  );
  await report.step(
    "only what was missing was fetched for revision 2",
    { says: "an archive for each new path", matches: /^(\d+) archives for \1 new paths of \d+$/ },
    () => {
      const missing = second.paths.filter((path) => !first.paths.includes(path) && !factory.paths.includes(path));
      const archives = world.cache.requests.slice(before).filter(({ path, method }) =>
        path.startsWith("nar/") && method === "GET"
      );
      return Promise.resolve(`${archives.length} archives for ${missing.length} new paths of ${second.paths.length}`);
    },
  );
}

async function survivePoorRelease(scene: Scene): Promise<void> {
  const { report, control, world } = scene;
  await report.step(
    "publish revision 3, whose health check fails",
    "exit 6, runs 24.11.3",
    () => publishAndWait(scene, world.systems.sick),
  );
  await report.step(
    "the device says why it went back",
    {
      says: "rolled_back, health_failed, profile is 24.11.3",
      matches: /^rolled_back, health_failed.*, profile is 24\.11\.3$/,
    },
    async () => {
      const { state } = await control.waitForDevice(DEVICE, {
        until: ({ standing }) => standing === "failed",
        limitMs: LIMIT_MS,
      });
      return `${state?.result}, ${state?.reason}, profile is ${await profileVersion(world)}`;
    },
  );
}

async function refuseReplay(scene: Scene): Promise<void> {
  const { report, control, world } = scene;
  await report.step(
    "replay revision 1 out of the stolen server's database",
    "refused, revision_too_old, runs 24.11.3",
    async () => {
      await control.attack((database) => showRevision(database, { channel: CHANNEL, revision: 1 }));
      const device = await control.waitForDevice(DEVICE, { until: refusedWith("revision_too_old"), limitMs: LIMIT_MS });
      return `${device.state?.result}, ${device.state?.reason}, runs ${await runningVersion(world)}`;
    },
  );
  await control.attack((database) => showRevision(database, { channel: CHANNEL, revision: 3 }));
}

async function refuseTampering(scene: Scene): Promise<void> {
  const { report, control, world } = scene;
  await report.step(
    "tamper with the cache's archives and publish revision 4",
    "content_corrupt, runs 24.11.3",
    async () => {
      world.cache.setFault({ fault: { kind: "corrupted" }, on: "nar" });
      mustSucceed(await publish(scene, world.systems.fourth, []));
      const { state } = await control.waitForDevice(DEVICE, {
        until: (device) => device.state?.reason?.startsWith("content_corrupt") === true,
        limitMs: LIMIT_MS,
      });
      return `${state?.reason}, runs ${await runningVersion(world)}`;
    },
  );
  await report.step("mend the cache: the device goes on by itself", "current, runs 24.11.5", async () => {
    world.cache.setFault();
    const device = await control.waitForDevice(DEVICE, {
      until: ({ standing, state }) => standing === "current" && state?.result === "succeeded",
      limitMs: LIMIT_MS,
    });
    return `${device.standing}, runs ${await runningVersion(world)}`;
  });
}

async function refuseForgery(scene: Scene): Promise<void> {
  const { report, control, world } = scene;
  const { folder } = world;
  await report.step("publish with the stolen token and another key", "exit 4, signatures_insufficient", async () => {
    await makeKey(scene, "thief");
    const trust = ["--trust", `${folder}/sign.key.pub`]; // Public, so a thief has it and can follow the current release.
    const { code, stderr, stdout } = await publish(scene, world.systems.sick, ["--json", ...trust], "thief");
    return `exit ${code}, ${/signatures_insufficient/.exec(stdout + stderr)?.[0] ?? (stdout + stderr).trim()}`;
  });
  await report.step(
    "forge revision 9 in the stolen server's database",
    "refused, signatures_insufficient, runs 24.11.5",
    async () => {
      const forged = await forgeRelease({
        database: `${control.dataDir}/${DATABASE_NAME}`,
        keyFile: `${folder}/thief.key`,
        from: 3,
      });
      await control.attack((database) => plantRelease(database, forged));
      const { state } = await control.waitForDevice(DEVICE, {
        until: refusedWith("signatures_insufficient"),
        limitMs: LIMIT_MS,
      });
      return `${state?.result}, ${state?.reason}, runs ${await runningVersion(world)}`;
    },
  );
}

function refusedWith(code: string): (device: DeviceRow) => boolean {
  return ({ state }) => state?.result === "refused" && state.reason === code;
}

async function makeKey({ world }: Scene, name: string): Promise<string> {
  const { stdout } = mustSucceed(
    await runProgram("nix-ota", ["keygen", "--out", `${world.folder}/${name}.key`, "--json"]),
  );
  const { publicKey } = JSON.parse(stdout) as { publicKey: string };
  const { mode } = await Deno.stat(`${world.folder}/${name}.key`);
  return `public key ${publicKey}, file of mode ${((mode ?? 0) & 0o777).toString(8)}`;
}

async function publish(scene: Scene, system: BuiltSystem, extra: readonly string[], key = "sign"): Promise<Finished> {
  const { world, control, env } = scene;
  const args = [
    ...["publish", "--server", control.url, "--token-file", control.tokenFile, "--key", `${world.folder}/${key}.key`],
    ...["--channel", CHANNEL, "--store-path", system.storePath, "--substituter", world.cache.url],
    ...["--substituter-key", world.cacheKey.publicKey.trim(), "--health-seconds", "30", ...extra],
  ];
  return await world.ci.exec(commandLine("nix-ota", args), { env });
}

async function publishAndWait(scene: Scene, system: BuiltSystem): Promise<string> {
  const { code } = await publish(scene, system, ["--wait", "--wait-timeout", "60s"]);
  return `exit ${code}, runs ${await runningVersion(scene.world)}`;
}

async function startAgent({ world, control, env }: Scene): Promise<DeviceProcess> {
  const key = (await Deno.readTextFile(`${world.folder}/sign.key.pub`)).trim();
  const config = {
    server: world.device.reach(control.url),
    channel: CHANNEL,
    deviceId: DEVICE,
    publicKey: key,
    healthCmd: "/run/current-system/sw/bin/health-check",
    pollSeconds: 5,
    allowHttp: true, // Loopback only; devices in the field use https.
  };
  await world.device.writeText("/etc/nix-ota/agent.json", JSON.stringify(config, null, 2));
  const command = commandLine("nix-ota-agent", ["run", "--config", "/etc/nix-ota/agent.json"]);
  return await world.device.spawn(command, { env });
}

async function runningVersion({ device }: World): Promise<string> {
  return (await device.output(["cat", "/run/current-system/nixos-version"])).trim();
}

async function profileVersion({ device }: World): Promise<string> {
  return (await device.output(["cat", "/nix/var/nix/profiles/system/nixos-version"])).trim();
}

function mustSucceed(finished: Finished): Finished {
  if (finished.code === 0) return finished;
  throw new Error(`exit ${finished.code}: ${(finished.stderr || finished.stdout).trim().slice(-1000)}`);
}
