/**
 * What can happen to a device, each as a world, a first life and how it must end, whatever is cut off when.
 * @module
 */
import type { ApplyMode } from "@nix-ota/common";
import { type Fleet, offerRelease, type Plot, pollUntilIdle, signFakeRelease } from "./device.ts";
import { writeFile } from "./disk.ts";
import { createWorld, fakeNarHash, fakeSystem, type FakeSystemSpec, type World } from "./world.ts";

/** How a device must end: on the target, on what ran before, or on either where the request itself may be lost. */
export type Ending = "new" | "old" | "either";

/** See above. */
export interface Scenario {
  readonly name: string;
  /** The world before the first life. */
  readonly world: World;
  readonly oldSystem: string;
  readonly newSystem: string;
  readonly digest: string;
  /** What the agent does in the first life. */
  readonly plot: Plot;
  readonly ending: Ending;
  /** Whether the release must be remembered as bad in the end. */
  readonly bad: boolean;
  /**
   * A power cut after the boot loader was installed makes a clean boot of a system whose activation would have failed:
   * it is then judged by its health like any other.
   */
  readonly mayBoot: boolean;
  /** What happens in the world between two lives: a server that comes back, a person who reboots. */
  readonly meanwhile?: (world: World) => void;
}

interface Plan {
  readonly name: string;
  readonly spec?: Partial<FakeSystemSpec>;
  readonly mode?: ApplyMode;
  readonly systemd?: boolean;
  readonly ending: Ending;
  readonly bad?: boolean;
  readonly mayBoot?: boolean;
  readonly prepare?: (world: World, target: FakeSystemSpec) => void;
  readonly plot?: Plot;
  readonly meanwhile?: (world: World) => void;
}

const PLANS: readonly Plan[] = [
  { name: "good update", ending: "new" },
  { name: "good update that ends with failed units", spec: { switchExit: 4 }, ending: "new" },
  { name: "bad switch exit", spec: { switchExit: 1 }, ending: "old", bad: true, mayBoot: true },
  { name: "hanging switch", spec: { switchEffect: "hang" }, ending: "old", bad: true, mayBoot: true },
  { name: "switch without effect", spec: { switchEffect: "none" }, ending: "old", bad: true },
  { name: "failing health", spec: { health: "fail" }, ending: "old", bad: true },
  { name: "hanging health", spec: { health: "hang" }, ending: "old", bad: true },
  { name: "boot mode", mode: "boot", ending: "new" },
  { name: "boot mode, failing health", mode: "boot", spec: { health: "fail" }, ending: "old", bad: true },
  { name: "reboot mode", mode: "reboot", systemd: true, ending: "new" },
  {
    name: "reboot mode, failing health",
    mode: "reboot",
    systemd: true,
    spec: { health: "fail" },
    ending: "old",
    bad: true,
  },
  { name: "init interface changed", spec: { switchExit: 100, switchEffect: "none" }, mode: "switch", ending: "either" },
  { name: "closure is not the signed one", ending: "old", prepare: serveOtherContent },
  { name: "path that was built on the device", ending: "new", prepare: buildOnDevice },
  { name: "damaged path in the store", ending: "new", prepare: damageSharedPath },
  { name: "server down after the offer", ending: "new", meanwhile: serverComesBack, plot: loseServer },
  { name: "permission comes later", ending: "new", prepare: withholdPermission, plot: permitLater, meanwhile: permit },
];

/** Makes every scenario. Signing needs the runtime's cryptography, so this is done before time is faked. */
export async function createScenarios(fleet: Fleet): Promise<readonly Scenario[]> {
  const scenarios: Scenario[] = [];
  for (const plan of PLANS) scenarios.push(await createScenario(fleet, plan));
  scenarios.push(await createRollback(fleet), await createOvertaken(fleet));
  return scenarios;
}

async function createScenario(fleet: Fleet, plan: Plan): Promise<Scenario> {
  const factory = fakeSystem("old");
  const target = fakeSystem("new", plan.spec);
  const world = createWorld(factory, [target]);
  world.hasSystemd = plan.systemd ?? false;
  const release = await signFakeRelease(fleet, { revision: 7, spec: target, mode: plan.mode ?? "auto" });
  offerRelease(world, release);
  plan.prepare?.(world, target);
  return {
    name: plan.name,
    world,
    oldSystem: factory.storePath,
    newSystem: target.storePath,
    digest: release.offer.digest,
    plot: plan.plot ?? pollUntilIdle,
    ending: plan.ending,
    bad: plan.bad ?? false,
    mayBoot: plan.mayBoot ?? false,
    ...(plan.meanwhile === undefined ? {} : { meanwhile: plan.meanwhile }),
  };
}

/** A person asks for the rollback of a release that was confirmed. */
async function createRollback(fleet: Fleet): Promise<Scenario> {
  const plain = await createScenario(fleet, { name: "rollback by hand", ending: "either" });
  const plot: Plot = async ({ agent, context, runtime }) => {
    await pollUntilIdle({ agent, context, runtime });
    writeFile(runtime.world.disk, context.paths.rollbackRequest, new Uint8Array(), 0o600);
    await agent.cycle();
  };
  return { ...plain, plot };
}

/** A newer release overtakes one that waits for a reboot. */
async function createOvertaken(fleet: Fleet): Promise<Scenario> {
  const plain = await createScenario(fleet, {
    name: "overtaken while waiting for a reboot",
    mode: "boot",
    ending: "new",
  });
  const newer = fakeSystem("newer");
  plain.world.systems.set(newer.storePath, newer);
  for (const path of newer.closure) plain.world.cache.set(path, fakeNarHash(path));
  const release = await signFakeRelease(fleet, { revision: 8, spec: newer });
  const plot: Plot = async ({ agent, runtime }) => {
    await agent.start();
    await agent.cycle();
    offerRelease(runtime.world, release);
    await agent.cycle();
    await agent.cycle();
  };
  return {
    ...plain,
    plot,
    newSystem: newer.storePath,
    digest: release.offer.digest,
    meanwhile: (world) => offerRelease(world, release),
  };
}

function serveOtherContent(world: World, target: FakeSystemSpec): void {
  world.cache.set(target.closure[1] ?? "", fakeNarHash("something else"));
}

function buildOnDevice(world: World, target: FakeSystemSpec): void {
  world.store.set(target.closure[1] ?? "", { narHash: fakeNarHash("built here"), intact: true, synced: true });
}

function damageSharedPath(world: World, target: FakeSystemSpec): void {
  world.store.set(target.closure[1] ?? "", {
    narHash: fakeNarHash(target.closure[1] ?? ""),
    intact: false,
    synced: true,
  });
}

async function loseServer({ agent, runtime }: Parameters<Plot>[0]): Promise<void> {
  const { world } = runtime;
  await agent.start();
  world.server = { ...world.server, offer: world.server.offer && { ...world.server.offer, activate: false } };
  await agent.cycle();
  world.server = { ...world.server, up: false };
  await agent.cycle();
}

function serverComesBack(world: World): void {
  world.server = { ...world.server, up: true };
  permit(world);
}

function withholdPermission(world: World): void {
  world.server = { ...world.server, offer: world.server.offer && { ...world.server.offer, activate: false } };
}

async function permitLater({ agent, runtime }: Parameters<Plot>[0]): Promise<void> {
  await agent.start();
  await agent.cycle();
  permit(runtime.world);
  await agent.cycle();
}

function permit(world: World): void {
  world.server = { ...world.server, offer: world.server.offer && { ...world.server.offer, activate: true } };
}
