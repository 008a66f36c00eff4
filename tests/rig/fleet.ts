/** Devices, the CI machine that builds for them, and the cache between: all that an update needs but a server. */

import type { NixTools } from "../../tools/nix_tools.ts";
import { type CacheServer, startCacheServer } from "./cache_server.ts";
import { type CacheKey, CiMachine } from "./ci_machine.ts";
import type { BuiltSystem, SystemSpec } from "./closures.ts";
import { createNamespaceDevice, type NamespaceDevice, type NamespaceDeviceOptions } from "./namespace_device.ts";

/** How a fleet is made. */
export type FleetOptions = {
  tools: NixTools;
  /** Their names; they are made in parallel. */
  deviceNames: readonly string[];
  /** How each device is made. */
  device?: Omit<NamespaceDeviceOptions, "tools" | "name">;
};

/** See `createFleet()`. */
export type Fleet = AsyncDisposable & {
  ci: CiMachine;
  /** In the order of the names. */
  devices: readonly NamespaceDevice[];
  cache: CacheServer;
  /** Host directory of the cache. */
  cacheDir: string;
  /** What every path in the cache is signed with. */
  key: CacheKey;
  /** Builds systems and copies them, signed, into the cache. */
  build(specs: readonly SystemSpec[]): Promise<BuiltSystem[]>;
};

/** Makes a fleet whose devices are on and empty, and whose cache is empty. */
export async function createFleet({ tools, deviceNames, device = {} }: FleetOptions): Promise<Fleet> {
  await using stack = new AsyncDisposableStack();
  const ci = stack.use(await CiMachine.create(tools));
  const key = await ci.makeKey("cache-1");
  const cacheDir = await Deno.realPath(await Deno.makeTempDir({ prefix: "nix-ota-cache-" }));
  stack.defer(() => Deno.remove(cacheDir, { recursive: true }));
  const cache = stack.use(startCacheServer({ dir: cacheDir }));
  const devices = await Promise.all(
    deviceNames.map(async (name) => stack.use(await createNamespaceDevice({ ...device, tools, name }))),
  );
  const disposal = stack.move();
  return {
    ci,
    devices,
    cache,
    cacheDir,
    key,
    async build(specs) {
      const systems = await ci.build(specs);
      await ci.copyToCache(systems, cacheDir, { key });
      return systems;
    },
    [Symbol.asyncDispose]: () => disposal.disposeAsync(),
  };
}
