/** One device, one cache and two generations: what every test of Nix' own behaviour begins with. */

import type { NixTools } from "../../tools/nix_tools.ts";
import type { CommandResult } from "../../tools/run_command.ts";
import type { CacheServer } from "./cache_server.ts";
import type { BuiltSystem } from "./closures.ts";
import { SYSTEM_PROFILE } from "./device.ts";
import { createFleet, type Fleet } from "./fleet.ts";
import type { NamespaceDevice } from "./namespace_device.ts";

/** How the bench is laid out. */
export type NixBenchOptions = {
  tools: NixTools;
  /** Size of the path that both generations share, in bytes. */
  baseBytes: number;
  /** Size of the path that only one generation has, in bytes. */
  deltaBytes: number;
  /** Size of the device's disk, in bytes; what the host has unless told. */
  storeBytes?: number;
};

/** How one download differs from the ordinary. */
export type RealiseOptions = {
  storePath?: string;
  /** Blank-separated; the cache as the device reaches it unless told. */
  substituters?: string;
  /** Blank-separated; the cache's key unless told. */
  publicKeys?: string;
  /** Text as on a terminal instead of one JSON object a line. */
  isPlain?: boolean;
  options?: Record<string, string>;
};

/** The link that protects what is being downloaded. */
export const STAGED_ROOT = "/nix/var/nix/gcroots/nix-ota-staged";

/** Shortens what takes minutes by default. */
const FAST_FAILURE = { "download-attempts": "2", "connect-timeout": "5", "stalled-download-timeout": "2" };

/** See `createNixBench()`. */
export class NixBench implements AsyncDisposable {
  readonly #fleet: Fleet;

  constructor(fleet: Fleet, readonly device: NamespaceDevice, readonly old: BuiltSystem, readonly target: BuiltSystem) {
    this.#fleet = fleet;
  }

  get fleet(): Omit<Fleet, keyof AsyncDisposable> {
    return this.#fleet;
  }

  get cache(): CacheServer {
    return this.#fleet.cache;
  }

  /** The cache's URL as the device reaches it. */
  get url(): string {
    return this.device.reach(this.cache.url);
  }

  /** The command line of a download as the agent runs it. */
  realiseArgv(realise: RealiseOptions = {}): string[] {
    const { storePath = this.target.storePath, isPlain = false } = realise;
    const options = {
      substituters: realise.substituters ?? this.url,
      "trusted-public-keys": realise.publicKeys ?? this.fleet.key.publicKey,
      "narinfo-cache-negative-ttl": "0",
      "narinfo-cache-positive-ttl": "0",
      "fsync-store-paths": "true",
      "require-sigs": "true",
      ...FAST_FAILURE,
      ...realise.options,
    };
    return [
      ...["nix-store", "--realise", storePath, "--add-root", STAGED_ROOT],
      ...Object.entries(options).flatMap(([name, value]) => ["--option", name, value]),
      ...(isPlain ? [] : ["--log-format", "internal-json", "-v"]),
    ];
  }

  /** Downloads into the device. */
  realise(options: RealiseOptions = {}): Promise<CommandResult> {
    return this.device.exec(this.realiseArgv(options));
  }

  /** Deletes whatever no root protects, and the root of the last download with it. */
  async forgetDownload(): Promise<void> {
    await this.device.output(["sh", "-ec", `rm -f ${STAGED_ROOT}; nix-store --gc`]);
  }

  /**
   * Puts the old system into the profile, and of the new one everything but what an update of the application changes:
   * its own path, `system-path` and the system itself. What is then downloaded is small, and so is what Nix says about it.
   */
  async prepareUpdate(): Promise<void> {
    const { target, old, device } = this;
    const changed = ["app", "system-path", "nixos-system"].map((name) => pathNamed(target, name));
    for (const [index, path] of target.paths.filter((path) => !changed.includes(path)).entries()) {
      await this.#provide(path);
      await device.output(["ln", "-sfn", path, `/nix/var/nix/gcroots/prepared-${index}`]);
    }
    await this.#provide(old.storePath);
    await device.output(["nix-env", "--profile", SYSTEM_PROFILE, "--set", old.storePath]);
    await this.forgetDownload();
  }

  /** Path in the cache of the nar of a store path. */
  async narOf(storePath: string): Promise<string> {
    const narinfo = await Deno.readTextFile(`${this.fleet.cacheDir}/${narinfoOf(storePath)}`);
    return /^URL: (.+)$/m.exec(narinfo)?.[1] ?? unnamed(storePath);
  }

  async #provide(storePath: string): Promise<void> {
    const result = await this.realise({ storePath });
    if (result.code !== 0) throw new Error(`Cannot prepare "${storePath}": ${result.stderr.slice(-1000)}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#fleet[Symbol.asyncDispose]();
  }
}

/** Builds generation 1 and 2, signs them into a cache that is then served, and makes an empty device. */
export async function createNixBench(options: NixBenchOptions): Promise<NixBench> {
  const { tools, baseBytes, deltaBytes, storeBytes } = options;
  const device = storeBytes === undefined ? {} : { storeBytes };
  const fleet = await createFleet({ tools, deviceNames: ["device"], device });
  const [old, target] = await fleet.build([1, 2].map((generation) => ({ generation, baseBytes, deltaBytes })));
  const [only] = fleet.devices;
  if (only === undefined || old === undefined || target === undefined) {
    throw new Error("Cannot make a bench of nothing");
  }
  return new NixBench(fleet, only, old, target);
}

/** Path in a cache of the narinfo of a store path. */
export function narinfoOf(storePath: string): string {
  return `${/^\/nix\/store\/([a-z0-9]{32})-/.exec(storePath)?.[1] ?? unnamed(storePath)}.narinfo`;
}

/** The first path in a closure whose name begins like this, such as "app". */
export function pathNamed(system: BuiltSystem, name: string): string {
  const path = system.paths.find((candidate) => candidate.slice("/nix/store/".length + 33).startsWith(name));
  return path ?? unnamed(name);
}

function unnamed(text: string): never {
  throw new Error(`Cannot find "${text}" in the cache`);
}
