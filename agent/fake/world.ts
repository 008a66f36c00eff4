/**
 * A device as plain data: disk, Nix store, boot loader, activations that run, and the server it talks to. A copy of it
 * is all that a crash leaves.
 * @module
 */
import { type Bytes, type Checkin, formatBase64, type Offer, summariseClosure } from "@nix-ota/common";
import {
  cloneDisk,
  createDisk,
  cutPower as cutDisk,
  type Disk,
  type Loss,
  makeDirectories,
  makeLink,
  syncAll,
} from "./disk.ts";
import { sha256Now } from "./crypto.ts";

/** A system as the fake Nix knows it, and how it behaves. */
export interface FakeSystemSpec {
  readonly storePath: string;
  /** The closure, the system itself included. */
  readonly closure: readonly string[];
  /** Exit code of `switch-to-configuration`. */
  readonly switchExit: number;
  /** `none`: it exits without having done anything. `hang`: it never ends. */
  readonly switchEffect: "activates" | "none" | "hang";
  readonly health: "pass" | "fail" | "hang";
}

/** A path in the store. `intact` false: Nix calls it valid, and its files are empty. */
export interface StoreEntry {
  readonly narHash: string;
  readonly intact: boolean;
  /** Whether its contents survive a power cut. */
  readonly synced: boolean;
}

/** A `switch-to-configuration` that runs, apart from the agent. */
export interface Job {
  readonly pid: number;
  readonly args: readonly string[];
  readonly storePath: string;
  readonly action: string;
  /** It never comes to activating. */
  readonly hangs: boolean;
  readonly step: number;
  readonly dueMs: number;
}

/** Everything that outlives a crash, or is lost in it. */
export interface World {
  readonly disk: Disk;
  readonly store: Map<string, StoreEntry>;
  readonly systems: Map<string, FakeSystemSpec>;
  /** What the cache serves: hashes by path. */
  readonly cache: Map<string, string>;
  jobs: readonly Job[];
  nextPid: number;
  /** What the boot loader starts. */
  bootDefault: string;
  boots: number;
  /** The machine was asked to restart. */
  rebooting: boolean;
  hasSystemd: boolean;
  nowMs: number;
  server: FakeServer;
  /** Every activation, oldest first. */
  activations: readonly { readonly storePath: string; readonly action: string }[];
  /** What must never happen and did. */
  violations: readonly string[];
}

/** What the server is and has heard. */
export interface FakeServer {
  readonly up: boolean;
  readonly offer: Offer | null;
  readonly releases: ReadonlyMap<number, Bytes>;
  readonly highestSeq: number;
  readonly nonce: number;
  readonly heard: readonly Checkin["state"][];
}

/** The directories that a NixOS device has before the agent is started. */
const DIRECTORIES = ["/nix/var/nix/profiles", "/nix/var/nix/gcroots", "/nix/store", "/etc", "/boot"] as const;
/** The boot id file of a boot. */
export const BOOT_ID_FILE = "/proc/sys/kernel/random/boot_id";
export const PROFILE = "/nix/var/nix/profiles/system";
export const CURRENT = "/run/current-system";
export const BOOTED = "/run/booted-system";

/** A store path with a made-up hash. */
export function fakePath(name: string): string {
  const alphabet = "0123456789abcdfghijklmnpqrsvwxyz";
  const hash = [...sha256Now(new TextEncoder().encode(name))].map((byte) => alphabet.charAt(byte % 32)).join("");
  return `/nix/store/${hash}-${name}`;
}

/** The NAR hash that a path should have. */
export function fakeNarHash(path: string): string {
  return `sha256-${formatBase64(sha256Now(new TextEncoder().encode(`nar of ${path}`)))}`;
}

/** Every fake path has this NAR size, in bytes. */
export const FAKE_NAR_SIZE = 4096;

/** A system whose closure is itself, one path of its own and those it shares. */
export function fakeSystem(name: string, behaviour: Partial<FakeSystemSpec> = {}): FakeSystemSpec {
  const storePath = fakePath(`nixos-system-${name}`);
  return {
    storePath,
    closure: [storePath, fakePath(`app-${name}`), fakePath("glibc-2.40")],
    switchExit: 0,
    switchEffect: "activates",
    health: "pass",
    ...behaviour,
  };
}

/** What is signed of a fake system's closure. */
export function fakeClosure(spec: FakeSystemSpec): ReturnType<typeof summariseClosure> {
  return summariseClosure(
    spec.closure.map((storePath) => ({ storePath, narHash: fakeNarHash(storePath), narSize: FAKE_NAR_SIZE })),
  );
}

/**
 * A device that was booted into `factory`, with a cache that has all `systems`. Its newest generation is one that nobody
 * runs, as after a rollback by hand: "one generation back" leads astray.
 */
export function createWorld(factory: FakeSystemSpec, systems: readonly FakeSystemSpec[]): World {
  const unused = fakeSystem("unused");
  const world: World = {
    disk: createDisk(),
    store: new Map(),
    systems: new Map([factory, unused, ...systems].map((spec) => [spec.storePath, spec])),
    cache: new Map([factory, ...systems].flatMap(({ closure }) => closure.map((path) => [path, fakeNarHash(path)]))),
    jobs: [],
    nextPid: 1000,
    bootDefault: factory.storePath,
    boots: 0,
    rebooting: false,
    hasSystemd: false,
    nowMs: Date.UTC(2026, 5, 1),
    server: { up: true, offer: null, releases: new Map(), highestSeq: 0, nonce: 0, heard: [] },
    activations: [],
    violations: [],
  };
  for (const path of DIRECTORIES) makeDirectories(world.disk, path, 0o755);
  for (const path of [...factory.closure, ...unused.closure]) {
    world.store.set(path, { narHash: fakeNarHash(path), intact: true, synced: true });
  }
  makeLink(world.disk, factory.storePath, `${PROFILE}-1-link`);
  makeLink(world.disk, unused.storePath, `${PROFILE}-2-link`);
  makeLink(world.disk, "system-1-link", PROFILE);
  syncAll(world.disk);
  bootWorld(world);
  return world;
}

/** A copy that shares nothing that changes. */
export function cloneWorld(world: World): World {
  return { ...world, disk: cloneDisk(world.disk), store: new Map(world.store) };
}

/** Notes what must never happen. */
export function violate(world: World, what: string): void {
  if (!world.violations.includes(what)) world.violations = [...world.violations, what];
}

/** Whether a system's files are all there. */
export function isIntact(world: World, storePath: string): boolean {
  const spec = world.systems.get(storePath);
  return spec !== undefined && spec.closure.every((path) => world.store.get(path)?.intact === true);
}

/** Whether a system is exactly what was signed. */
export function isGenuine(world: World, storePath: string): boolean {
  const spec = world.systems.get(storePath);
  return spec !== undefined && spec.closure.every((path) => world.store.get(path)?.narHash === fakeNarHash(path));
}

/** Starts the machine: the boot loader's system runs. */
export function bootWorld(world: World): void {
  world.boots += 1;
  world.rebooting = false;
  world.jobs = [];
  const { names } = world.disk;
  if (!isIntact(world, world.bootDefault)) violate(world, `the device does not boot: ${world.bootDefault} is damaged`);
  names.set(BOOTED, { kind: "link", target: world.bootDefault });
  names.set(CURRENT, { kind: "link", target: world.bootDefault });
  const inode = world.disk.nextInode++;
  const id = new TextEncoder().encode(`00000000-0000-0000-0000-${String(world.boots).padStart(12, "0")}\n`);
  world.disk.inodes.set(inode, { content: id, durable: null });
  names.set(BOOT_ID_FILE, { kind: "file", inode, mode: 0o444 });
}

/** The power goes and comes back: what was not synced is at risk, nothing runs any more. */
export function cutWorldPower(world: World, loss: Loss, random: () => number): void {
  cutDisk(world.disk, loss, random);
  for (const [path, entry] of world.store) {
    if (entry.synced) continue;
    const intact = loss === "keep" || (loss === "random" && random() < 0.5);
    world.store.set(path, { ...entry, intact: entry.intact && intact, synced: true });
  }
  bootWorld(world);
}

/** An orderly restart: everything is written first. */
export function rebootWorld(world: World): void {
  syncAll(world.disk);
  for (const [path, entry] of world.store) world.store.set(path, { ...entry, synced: true });
  bootWorld(world);
}

/** Where a chain of links leads, or null. */
export function linkTarget(world: World, path: string): string | null {
  const node = world.disk.names.get(path);
  if (node?.kind !== "link") return null;
  const target = node.target.startsWith("/") ? node.target : `${path.slice(0, path.lastIndexOf("/"))}/${node.target}`;
  return target.startsWith("/nix/store/") ? target : linkTarget(world, target);
}

/** Deletes what nothing refers to: roots are the agent's links, all generations, the running and the booted system. */
export function collectGarbage(world: World): void {
  const roots = [CURRENT, BOOTED];
  for (const path of world.disk.names.keys()) {
    if (path.startsWith("/nix/var/nix/gcroots/") || /^\/nix\/var\/nix\/profiles\/system-\d+-link$/.test(path)) {
      roots.push(path);
    }
  }
  const live = new Set<string>();
  for (const root of roots) {
    const target = linkTarget(world, root);
    for (const path of target === null ? [] : world.systems.get(target)?.closure ?? []) live.add(path);
  }
  for (const path of [...world.store.keys()]) if (!live.has(path)) world.store.delete(path);
}
