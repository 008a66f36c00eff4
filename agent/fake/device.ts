/**
 * A fake device with the real agent on it: its configuration, its releases, its lives.
 * @module
 */
import {
  type ApplyMode,
  digestOf,
  encodeUtf8,
  formatEnvelope,
  formatRelease,
  formatTimestamp,
  generateKey,
  type Offer,
  type PublicKey,
  type Release,
  signEnvelope,
  type Signer,
} from "@nix-ota/common";
import type { Agent } from "../agent.ts";
import type { Config } from "../config.ts";
import type { Context } from "../context.ts";
import { type Journal, openJournal } from "../journal.ts";
import type { Tools } from "../nix.ts";
import { openAgent } from "../opening.ts";
import { agentPaths } from "../paths.ts";
import type { Situation } from "../state.ts";
import type { System } from "../system.ts";
import { createFakeSystem, type FakeSystemOptions } from "../system_fake.ts";
import { createRuntime, type Runtime, type RuntimeOptions } from "./runtime.ts";
import { fakeClosure, fakeNarHash, type FakeSystemSpec, type World } from "./world.ts";

/** The channel, fleet and cache of every fake device. */
export const CHANNEL = "prod";
const CACHE = "https://cache.example.org";
const SYSTEM_NAME = "x86_64-linux";

/** A key whose signatures nobody looks at: the fake server does not, and the agent does not verify its own. */
function idleSigner(publicKey: PublicKey): Signer {
  return { publicKey, sign: () => Promise.resolve(new Uint8Array(64)) };
}

/** Who signs releases and what the device is. Made once per test file: keys cost time. */
export interface Fleet {
  readonly releaseKey: Signer;
  readonly cacheKey: string;
}

/** Makes a fleet. */
export async function createFleet(): Promise<Fleet> {
  const { signer } = await generateKey();
  const cache = await generateKey();
  return { releaseKey: signer, cacheKey: `cache-1:${btoa(String.fromCharCode(...cache.signer.publicKey.bytes))}` };
}

/** A release of the fleet, ready to be offered. */
export interface FakeRelease {
  readonly offer: Offer;
  readonly envelope: Uint8Array<ArrayBuffer>;
}

/** Signs a release of a fake system. */
export async function signFakeRelease(
  fleet: Fleet,
  { revision, spec, mode = "auto" }: { revision: number; spec: FakeSystemSpec; mode?: ApplyMode },
): Promise<FakeRelease> {
  const payload = formatRelease(await fakeReleaseDocument(fleet, { revision, spec, mode }));
  const envelope = encodeUtf8(formatEnvelope(await signEnvelope("release", payload, [fleet.releaseKey])));
  const digest = await digestOf(payload);
  return { offer: { channel: CHANNEL, revision, digest, stage: true, activate: true, reason: "go on" }, envelope };
}

/** The document of a release of a fake system. */
export async function fakeReleaseDocument(
  { cacheKey }: Pick<Fleet, "cacheKey">,
  { revision, spec, mode = "auto" }: { revision: number; spec: FakeSystemSpec; mode?: ApplyMode },
): Promise<Release> {
  const issuedMs = Date.UTC(2026, 4, 1) + revision * 1000;
  return {
    type: "nix-ota/release",
    v: 1,
    fleet: "default",
    channel: CHANNEL,
    revision,
    root: 0,
    prev: null,
    issued: formatTimestamp(issuedMs),
    expires: formatTimestamp(issuedMs + 300 * 86_400_000),
    targets: [{
      system: SYSTEM_NAME,
      variant: "default",
      storePath: spec.storePath,
      narHash: fakeNarHash(spec.storePath),
      closure: await fakeClosure(spec),
    }],
    substituters: [{ url: CACHE, keys: [cacheKey] }],
    apply: { mode, healthSeconds: 30 },
    notes: "",
  };
}

/** Has the server offer a release. */
export function offerRelease(world: World, { offer, envelope }: FakeRelease): void {
  const releases = new Map(world.server.releases).set(offer.revision, envelope);
  world.server = { ...world.server, releases, offer };
}

/** The configuration of a fake device. */
export function fakeConfig(fleet: Fleet, changes: Partial<Config> = {}): Config {
  return {
    server: "https://ota.example.org",
    fleet: "default",
    channel: CHANNEL,
    deviceId: "device-1",
    publicKeys: [fleet.releaseKey.publicKey],
    threshold: 1,
    cache: null,
    healthCmd: "health-check",
    system: SYSTEM_NAME,
    variant: "default",
    stateDir: "/nix/var/nix-ota",
    profile: "/nix/var/nix/profiles/system",
    store: null,
    gcRootsDir: "/nix/var/nix/gcroots/nix-ota",
    currentSystem: "/run/current-system",
    bootedSystem: "/run/booted-system",
    bootIdFile: "/proc/sys/kernel/random/boot_id",
    nixBinDir: null,
    pollSeconds: 60,
    stageTimeoutSeconds: 600,
    switchTimeoutSeconds: 5,
    reserveMiB: 0,
    collectGarbage: true,
    allowHttp: false,
    enrolTokenFile: null,
    ...changes,
  };
}

const TOOLS: Tools = {
  nix: "/bin/nix",
  nixStore: "/bin/nix-store",
  nixEnv: "/bin/nix-env",
  sh: "/bin/sh",
  sync: "/bin/sync",
  df: "/bin/df",
  systemctl: null,
  systemdRun: null,
};

/** How a life of the agent differs from the ordinary. */
export interface LifeOptions extends RuntimeOptions, FakeSystemOptions {
  readonly fleet: Fleet;
  readonly config?: Partial<Config>;
  /** Puts another machine or journal in the place of the ordinary one: how mutants are made. */
  readonly mutate?: (parts: { system: System; journal: Journal }) => { system: System; journal: Journal };
}

/** What a life is about. */
export type Plot = (parts: { agent: Agent; context: Context; runtime: Runtime }) => Promise<void>;

/** How a life ended. */
export interface LifeEnd {
  readonly end: "done" | "dead" | "stuck";
  /** Steps taken. */
  readonly steps: number;
  /** Where the agent stood then; null where it was never opened. */
  readonly situation: Situation | null;
}

/** One life of the agent on a world: opened, played, and ended as `drive` says. */
export async function live(world: World, plot: Plot, options: LifeOptions): Promise<LifeEnd> {
  const runtime = createRuntime(world, options);
  const plain = createFakeSystem(runtime, options);
  const config = fakeConfig(options.fleet, options.config ?? {});
  const parts = { system: plain, journal: openJournal(plain.files, config.stateDir) };
  const { system, journal } = options.mutate?.(parts) ?? parts;
  const tools: Tools = world.hasSystemd ? { ...TOOLS, systemctl: "/bin/systemctl" } : TOOLS;
  const context: Context = { config, paths: agentPaths(config), system, tools, stop: new AbortController().signal };
  const identity = { signer: idleSigner(options.fleet.releaseKey.publicKey), fingerprint: "SHA256:fake" };
  let agent: Agent | null = null;
  const playing = openAgent(context, identity, () => {}, journal).then((opened) => {
    agent = opened;
    return plot({ agent: opened, context, runtime });
  });
  const end = await runtime.drive(playing);
  return { end, steps: runtime.steps(), situation: (agent as Agent | null)?.situation ?? null };
}

/** Check-ins at most between a crash and the time when all must be well. */
export const POLLS_MAX = 3;

/** Takes up what was left, then checks in until there is nothing to do, at most {@link POLLS_MAX} times. */
export async function pollUntilIdle({ agent, runtime }: Parameters<Plot>[0]): Promise<void> {
  await agent.start();
  for (let poll = 0; poll < POLLS_MAX && !runtime.world.rebooting; poll++) {
    const contact = await agent.cycle();
    if (runtime.world.rebooting) return;
    await runtime.sleep(agent.delayAfter(contact));
  }
}
