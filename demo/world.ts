/**
 * Everything that the demo needs around the three programs: Nix, systems, a binary cache, one device, keys and folders.
 * @module
 */
import { ensureNix } from "../tools/nix_tools.ts";
import { type CacheServer, startCacheServer } from "../tests/rig/cache_server.ts";
import { type CacheKey, CiMachine } from "../tests/rig/ci_machine.ts";
import type { BuiltSystem, SystemSpec } from "../tests/rig/closures.ts";
import { installFactorySystem } from "../tests/rig/factory.ts";
import { createNamespaceDevice, type NamespaceDevice } from "../tests/rig/namespace_device.ts";

/** The systems of the demo by what they are for. */
export interface Systems {
  /** What the device runs before it meets nix-ota. */
  readonly factory: BuiltSystem;
  readonly first: BuiltSystem;
  readonly second: BuiltSystem;
  /** Switches well, but its health check fails. */
  readonly sick: BuiltSystem;
  readonly fourth: BuiltSystem;
}

/** See {@link openWorld}. */
export interface World extends AsyncDisposable {
  /** A folder that is removed at the end. */
  readonly folder: string;
  readonly nixVersion: string;
  readonly systems: Systems;
  readonly cache: CacheServer;
  readonly cacheKey: CacheKey;
  readonly device: NamespaceDevice;
  /** PATH on which the publisher finds Nix and the CI machine's store. */
  readonly ci: CiMachine;
}

const SPECS: readonly SystemSpec[] = [
  { generation: 1 },
  { generation: 2 },
  { generation: 3 },
  { generation: 4, healthExit: 1 },
  { generation: 5 },
];

/** Makes the world, saying each part before it takes time. */
export async function openWorld(say: (line: string) => void): Promise<World> {
  await using parts = new AsyncDisposableStack();
  const tools = await ensureNix({ log: say });
  const folder = await Deno.makeTempDir({ prefix: "nix-ota-demo-" });
  parts.defer(() => Deno.remove(folder, { recursive: true }));
  say(`building ${SPECS.length} NixOS-shaped systems with Nix ${tools.version}`);
  const ci = parts.use(await CiMachine.create(tools));
  const systems = asSystems(await ci.build(SPECS));
  say("signing them and copying them to a binary cache");
  const cacheKey = await ci.makeKey("demo-cache-1");
  await ci.copyToCache(Object.values(systems), `${folder}/cache`, { key: cacheKey });
  const cache = parts.use(startCacheServer({ dir: `${folder}/cache` }));
  const device = parts.use(await createNamespaceDevice({ tools, name: "fridge-007" }));
  await installFactorySystem(device, { system: systems.factory, cacheUrl: cache.url, cacheKey });
  const owned = parts.move();
  return {
    folder,
    nixVersion: tools.version,
    systems,
    cache,
    cacheKey,
    device,
    ci,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function asSystems(built: readonly BuiltSystem[]): Systems {
  const [factory, first, second, sick, fourth] = built;
  if (!factory || !first || !second || !sick || !fourth) {
    throw new Error("Cannot find the five systems that were built");
  }
  return { factory, first, second, sick, fourth };
}
