/**
 * Everything that a `publish` needs: a server, a cache, a fake Nix with a system, keys and files.
 * @module
 */
import { formatPrivateKeyPem, generateKey, type Signer } from "@nix-ota/common";
import type { LocalPath } from "../path_info.ts";
import { type CliOptions, type CliResult, runNixOta } from "./cli.ts";
import { makeSystem } from "./closures.ts";
import { type CacheSigner, type FakeCache, makeCacheSigner, startCache } from "./fake_cache.ts";
import { type FakeControl, startControl } from "./fake_control.ts";
import { type FakeNix, makeFakeNix } from "./fake_nix.ts";

/** The world of a publish, in which everything is well until a test breaks it. */
export interface PublishWorld extends AsyncDisposable {
  readonly folder: string;
  readonly control: FakeControl;
  readonly cache: FakeCache;
  readonly nix: FakeNix;
  readonly signer: Signer;
  readonly keyFile: string;
  readonly tokenFile: string;
  readonly cacheSigner: CacheSigner;
  /** The first system and its closure. */
  readonly system: readonly LocalPath[];
  readonly storePath: string;
  /** Options by name; `undefined` leaves one out, a list repeats it, `true` is a flag. */
  args(changes?: Readonly<Record<string, string | readonly string[] | true | undefined>>): string[];
  publish(changes?: Parameters<PublishWorld["args"]>[0], options?: CliOptions): Promise<CliResult>;
  /** Makes Nix and the cache know another system; its store path is returned. */
  addSystem(version: number): Promise<string>;
}

/** Makes a new release key in a file. */
export async function makeKeyFile(path: string): Promise<Signer> {
  const { pkcs8, signer } = await generateKey("test");
  await Deno.writeTextFile(path, formatPrivateKeyPem(pkcs8), { mode: 0o600 });
  return signer;
}

/** Makes a world; dispose of it at the end of the test. */
export async function makeWorld(): Promise<PublishWorld> {
  const folder = await Deno.makeTempDir({ prefix: "nix-ota-publish-" });
  const control = startControl();
  const cache = startCache();
  const nix = await makeFakeNix(folder);
  const keyFile = `${folder}/sign.key`;
  const tokenFile = `${folder}/token`;
  const signer = await makeKeyFile(keyFile);
  await Deno.writeTextFile(tokenFile, `${control.token}\n`);
  const cacheSigner = await makeCacheSigner("cache-1");
  const system = await makeSystem(1);
  await cache.add(system, [cacheSigner]);
  const storePath = await nix.add(system);
  const world: PublishWorld = {
    folder,
    control,
    cache,
    nix,
    signer,
    keyFile,
    tokenFile,
    cacheSigner,
    system,
    storePath,
    args: (changes = {}) => {
      const options: Record<string, string | readonly string[] | true | undefined> = {
        server: control.url,
        "token-file": tokenFile,
        key: keyFile,
        channel: "prod",
        "store-path": storePath,
        substituter: cache.url,
        "substituter-key": cacheSigner.key.text,
        ...changes,
      };
      return ["publish", ...Object.entries(options).flatMap(([name, value]) => toArgs(`--${name}`, value))];
    },
    publish: (changes, options) => runNixOta(world.args(changes), { binDir: nix.binDir, ...options }),
    addSystem: async (version) => {
      const paths = await makeSystem(version);
      await cache.add(paths, [cacheSigner]);
      return await nix.add(paths);
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all([control[Symbol.asyncDispose](), cache[Symbol.asyncDispose]()]);
      await Deno.remove(folder, { recursive: true });
    },
  };
  return world;
}

function toArgs(flag: string, value: string | readonly string[] | true | undefined): string[] {
  if (value === undefined) return [];
  if (value === true) return [flag];
  return [value].flat().flatMap((one) => [flag, one]);
}
