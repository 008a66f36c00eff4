/** Devices of the rig behave like devices. On real Nix. */

import assert from "node:assert/strict";
import { ensureNix, type NixTools } from "../../tools/nix_tools.ts";
import { outputOf, runCommand } from "../../tools/run_command.ts";
import type { BuiltSystem, SystemSpec } from "./closures.ts";
import { createFleet, type Fleet } from "./fleet.ts";
import { createNamespaceDevice, type NamespaceDevice } from "./namespace_device.ts";
import { until } from "./wait.ts";
import { SYSTEM_PROFILE } from "./device.ts";

const SMALL = { baseBytes: 100_000, deltaBytes: 10_000 };

/** A device that has some systems in its store. */
async function withDevice<Name extends string>(
  specs: Record<Name, SystemSpec>,
  test: (device: NamespaceDevice, systems: Record<Name, BuiltSystem>) => Promise<void>,
): Promise<void> {
  const names = Object.keys(specs) as Name[];
  await using fleet = await createFleet({ tools: await ensureNix(), deviceNames: ["fridge-007"] });
  const [device] = fleet.devices;
  assert.ok(device !== undefined);
  const built = names.length === 0 ? [] : await fleet.build(names.map((name) => ({ ...SMALL, ...specs[name] })));
  if (built.length > 0) await download(fleet, device, built);
  await test(device, Object.fromEntries(names.map((name, index) => [name, built[index]])) as Record<Name, BuiltSystem>);
}

async function download(
  { cache, key }: Fleet,
  device: NamespaceDevice,
  systems: readonly BuiltSystem[],
): Promise<void> {
  const source = [
    "--option",
    "substituters",
    device.reach(cache.url),
    "--option",
    "trusted-public-keys",
    key.publicKey,
  ];
  await device.output(["nix-store", "--realise", ...systems.map(({ storePath }) => storePath), ...source]);
}

async function setProfile(device: NamespaceDevice, { storePath }: BuiltSystem): Promise<void> {
  await device.output(["nix-env", "--profile", SYSTEM_PROFILE, "--set", storePath]);
}

async function switchTo(device: NamespaceDevice, { storePath }: BuiltSystem, action = "switch"): Promise<number> {
  return (await device.exec([`${storePath}/bin/switch-to-configuration`, action])).code;
}

Deno.test("a device runs what was switched to and boots it again", async () => {
  await withDevice({ first: { generation: 1 }, second: { generation: 2 } }, async (device, { first, second }) => {
    assert.equal(await device.generation(), undefined);
    assert.equal(await device.currentSystem(), undefined);
    for (const system of [first, second]) {
      await setProfile(device, system);
      assert.equal(await switchTo(device, system), 0);
    }
    assert.equal(await device.generation(), 2);
    assert.equal(await device.profileSystem(), second.storePath);
    assert.equal(await device.currentSystem(), second.storePath);
    assert.equal(await device.bootedSystem(), undefined, "nothing was booted yet");
    await device.reboot();
    assert.equal(await device.bootedSystem(), second.storePath);
    assert.equal(await device.currentSystem(), second.storePath);
    const calls = (await device.switchLog()).map(({ action, storePath }) => [action, storePath]);
    assert.deepEqual(calls, [["switch", first.storePath], ["switch", second.storePath], ["init", second.storePath]]);
    assert.equal(await device.output(["cat", "/run/current-system/nixos-version"]), "24.11.2");
  });
});

Deno.test("a device boots its boot loader's default and not what the profile came to say", async () => {
  await withDevice({ first: { generation: 1 }, second: { generation: 2 } }, async (device, { first, second }) => {
    await setProfile(device, first);
    await switchTo(device, first);
    await setProfile(device, second);
    await device.powerCut();
    await device.start();
    assert.equal(await device.profileSystem(), second.storePath);
    assert.equal(await device.bootedSystem(), first.storePath);
    assert.equal(await switchTo(device, second, "boot"), 0);
    assert.equal(await device.currentSystem(), first.storePath, "boot does not touch what runs");
    assert.equal(await device.bootDefault(), second.storePath);
    await device.reboot();
    assert.equal(await device.bootedSystem(), second.storePath);
  });
});

Deno.test("systems fail in the ways that a test asks for", async () => {
  const specs = {
    good: { generation: 1 },
    failing: { generation: 2, switchExit: 4 },
    lying: { generation: 3, becomesCurrent: false },
    sick: { generation: 4, healthExit: 7 },
    unbootable: { generation: 5, initExit: 1 },
    slow: { generation: 6, switchSleepSeconds: 3600 },
  };
  await withDevice(specs, async (device, { good, failing, lying, sick, unbootable, slow }) => {
    await setProfile(device, good);
    await switchTo(device, good);
    assert.equal(await switchTo(device, failing), 4);
    assert.equal(await device.currentSystem(), failing.storePath, "as on NixOS, units fail after the activation");
    await switchTo(device, good);
    assert.equal(await switchTo(device, lying), 0);
    assert.equal(await device.currentSystem(), good.storePath);
    await switchTo(device, sick);
    assert.equal((await device.exec(["/run/current-system/sw/bin/health-check"])).code, 7);
    const hanging = await device.spawn([`${slow.storePath}/bin/switch-to-configuration`, "switch"]);
    await until("the switch to begin", 5_000, () => hanging.stderr().includes("updating the boot loader"));
    assert.equal(await device.currentSystem(), sick.storePath);
    await hanging.kill("SIGKILL");
    assert.deepEqual(await hanging.ended, { code: 137 });
    await setProfile(device, unbootable);
    await switchTo(device, unbootable);
    await assert.rejects(device.reboot(), /Cannot boot ".*24\.11\.5": its init ended with 1/);
  });
});

Deno.test("powerCut() ends everything at once and can leave valid paths that are empty", async () => {
  await withDevice({ first: { generation: 1 }, second: { generation: 2 } }, async (device, { first, second }) => {
    await setProfile(device, first);
    await switchTo(device, first);
    const agent = await device.spawn(["sh", "-c", "trap '' TERM; echo up; while :; do sleep 1; done"]);
    await until("the process", 5_000, () => agent.stdout() === "up\n");
    await device.powerCut({ lose: [second.storePath] });
    assert.equal((await agent.ended).code, 137);
    assert.throws(() => device.exec(["true"]), /that is off/);
    assert.equal(await device.generation(), 1, "disks can be read while the device is off");
    await device.start();
    assert.equal(await device.bootedSystem(), first.storePath);
    assert.equal((await device.exec(["nix-store", "--check-validity", second.storePath])).code, 0);
    assert.equal((await device.exec(["nix-store", "--verify-path", second.storePath])).code, 1);
    assert.equal(await switchTo(device, second), 0, "an empty script succeeds");
    assert.equal(await device.currentSystem(), first.storePath);
    assert.equal((await device.exec(["nix-store", "--verify-path", first.storePath])).code, 0);
  });
});

Deno.test("reboot() lets processes end by themselves first", async () => {
  await withDevice({}, async (device) => {
    const polite = await device.spawn([
      "sh",
      "-c",
      "trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 0.05; done",
    ]);
    await until("the process", 5_000, () => polite.stdout() === "up\n");
    await device.writeText("/run/left-over", "x");
    await device.reboot();
    assert.equal((await polite.ended).code, 3);
    assert.equal(polite.stdout(), "up\nbye\n");
    assert.equal((await device.exec(["test", "-e", "/run/left-over"])).code, 1, "/run does not outlive a boot");
  });
});

Deno.test("net() cuts what reach() gave out and connects it again", async () => {
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, () => new Response("hello"));
  await withDevice({}, async (device) => {
    const url = device.reach(`http://127.0.0.1:${server.addr.port}`);
    const read = () => fetch(url).then((response) => response.text(), () => "unreachable");
    assert.equal(await read(), "hello");
    await device.net("down");
    assert.equal(await read(), "unreachable");
    assert.equal(device.reach(`http://127.0.0.1:${server.addr.port}`), url);
    await device.net("up");
    assert.equal(await read(), "hello");
  });
});

Deno.test("a fleet updates at once from one cache", async () => {
  const deviceNames = ["a", "b", "c"];
  await using fleet = await createFleet({ tools: await ensureNix(), deviceNames });
  const systems = await fleet.build([{ generation: 1, ...SMALL }]);
  const [system] = systems;
  assert.ok(system !== undefined);
  await Promise.all(fleet.devices.map(async (device) => {
    await download(fleet, device, systems);
    await setProfile(device, system);
    await switchTo(device, system);
  }));
  for (const device of fleet.devices) assert.equal(await device.currentSystem(), system.storePath, device.name);
  assert.deepEqual(fleet.devices.map(({ name }) => name), deviceNames);
});

Deno.test("devices do not see each other, and leave nothing on the host", async () => {
  const tools = await ensureNix();
  const parentDir = await Deno.makeTempDir();
  const hadNix = await exists("/nix");
  {
    await using first = await createNamespaceDevice({ tools, parentDir });
    await using second = await createNamespaceDevice({ tools, parentDir, isStoreOnDisk: true });
    await first.writeText("/etc/nix-ota/agent.json", "{}");
    await first.output(["sh", "-c", `for dir in ${PRIVATE_DIRS.join(" ")}; do echo x > $dir/new; done`]);
    const files = PRIVATE_DIRS.map((dir) => `${dir}/new`);
    assert.equal((await first.output(["ls", ...files])).trim().split("\n").length, files.length);
    assert.equal((await second.exec(["ls", ...files, "/etc/nix-ota/agent.json"])).stdout, "");
    await first.reboot();
    assert.equal(await first.readText("/etc/nix-ota/agent.json"), "{}");
    assert.equal(await first.readText("/etc/new"), "x\n", "/etc outlives a boot");
    assert.equal((await first.exec(["test", "-e", "/run/new"])).code, 1);
  }
  for (const dir of PRIVATE_DIRS) assert.equal(await exists(`${dir}/new`), false, dir);
  assert.equal(await exists("/nix"), hadNix);
  assert.doesNotMatch(await outputOf(["cat", "/proc/self/mountinfo"]), new RegExp(parentDir));
  await Deno.remove(parentDir); // Fails if anything is left in it.
});

Deno.test("a device ends with the program that made it, even when that is killed", async () => {
  const tools = await ensureNix();
  const parentDir = await Deno.makeTempDir();
  const marker = `nix-ota-orphan-${crypto.randomUUID()}`;
  const maker = await startOrphanMaker(tools, parentDir, marker);
  assert.equal(await isRunning(marker), true);
  maker.kill("SIGKILL");
  await maker.status;
  await until("the device to end", 5_000, async () => !await isRunning(marker));
  await outputOf(["rm", "-rf", parentDir]);
});

/** Directories that a device has for itself. */
const PRIVATE_DIRS = ["/etc", "/var/log", "/boot", "/nix", "/run"];

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

/** Another Deno that makes a device, runs a marked process in it, and then waits to be killed. */
async function startOrphanMaker(tools: NixTools, parentDir: string, marker: string): Promise<Deno.ChildProcess> {
  const module = import.meta.resolve("./namespace_device.ts");
  const code = `import { createNamespaceDevice } from ${JSON.stringify(module)};
const device = await createNamespaceDevice(${JSON.stringify({ tools, parentDir })});
await device.spawn(["sh", "-c", "while :; do sleep 0.1; done", ${JSON.stringify(marker)}]);
console.log("ready");
await new Promise((resolve) => setTimeout(resolve, 60_000));`;
  const maker = new Deno.Command(Deno.execPath(), { args: ["eval", code], stdout: "piped" }).spawn();
  const reader = maker.stdout.getReader();
  await reader.read();
  reader.releaseLock();
  await maker.stdout.cancel();
  return maker;
}

/** Whether a process of the host has `marker` on its command line. */
async function isRunning(marker: string): Promise<boolean> {
  const pattern = `[n]${marker.slice(1)}`; // Which does not match the searching process itself.
  const found = await runCommand(["sh", "-c", `grep -a -l -s '${pattern}' /proc/[0-9]*/cmdline`]);
  return found.stdout !== "";
}
