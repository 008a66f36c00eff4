/** What the scenarios of a test file share: systems, signed and copied to a cache directory, and the keys of their owner. */

import { type ClosurePath, formatPrivateKeyPem, formatRawPublicKey, generateKey, type Signer } from "@nix-ota/common";
import { parsePathInfo } from "../../publisher/path_info.ts";
import { ensureNix, type NixTools } from "../../tools/nix_tools.ts";
import { type CacheKey, CiMachine } from "../rig/ci_machine.ts";
import type { BuiltSystem, SystemSpec } from "../rig/closures.ts";
import { ensureBuilt, machineEnv } from "../rig/programs.ts";

/** A system and what a release signs of it. */
export type Stocked = BuiltSystem & { readonly closure: readonly ClosurePath[] };

/** See {@link openDepot}. */
export type Depot<Name extends string> = AsyncDisposable & {
  readonly tools: NixTools;
  readonly ci: CiMachine;
  /** Host directory for whatever a scenario keeps; removed at the end. */
  readonly folder: string;
  readonly systems: Readonly<Record<Name, Stocked>>;
  /** Host directory of a binary cache that holds every system, signed. Never changed: a scenario that wants to copies it. */
  readonly cacheDir: string;
  readonly cacheKey: CacheKey;
  /** Signs releases. */
  readonly signer: Signer;
  /** Host file with the private key of the signer. */
  readonly keyFile: string;
  /** The raw public key of the signer in base64: what devices and server are told to trust. */
  readonly publicKey: string;
  /** Environment for programs of nix-ota in a device. */
  readonly env: Readonly<Record<string, string>>;
};

/** Small enough that an update takes a second, large enough that a download can be hit in the middle. */
const SMALL: Omit<SystemSpec, "generation"> = { baseBytes: 300_000, deltaBytes: 200_000 };

/** Builds systems, in the order given, and stocks a cache with all but those named in `missing`. */
export async function openDepot<Name extends string>(
  specs: Readonly<Record<Name, SystemSpec>>,
  { missing = [] }: { missing?: readonly NoInfer<Name>[] } = {},
): Promise<Depot<Name>> {
  await using parts = new AsyncDisposableStack();
  const [tools] = await Promise.all([ensureNix(), ensureBuilt()]);
  const folder = await Deno.realPath(await Deno.makeTempDir({ prefix: "nix-ota-e2e-" }));
  parts.defer(() => Deno.remove(folder, { recursive: true }));
  const ci = parts.use(await CiMachine.create(tools));
  const names = Object.keys(specs) as Name[]; // The keys of a Record<Name, …>.
  const built = await ci.build(names.map((name) => ({ ...SMALL, ...specs[name] })));
  const stocked = await Promise.all(built.map(async (system) => ({ ...system, closure: await closureOf(ci, system) })));
  const cacheKey = await ci.makeKey("e2e-cache-1");
  const cacheDir = `${folder}/cache`;
  const copied = built.filter((_, index) => !missing.some((name) => name === names[index]));
  await ci.copyToCache(copied, cacheDir, { key: cacheKey });
  const { signer, pkcs8 } = await generateKey("e2e");
  const keyFile = `${folder}/sign.key`;
  await Deno.writeTextFile(keyFile, formatPrivateKeyPem(pkcs8), { mode: 0o600 });
  const owned = parts.move();
  return {
    tools,
    ci,
    folder,
    systems: Object.fromEntries(names.map((name, index) => [name, stocked[index]])) as Record<Name, Stocked>,
    cacheDir,
    cacheKey,
    signer,
    keyFile,
    publicKey: formatRawPublicKey(signer.publicKey),
    env: await machineEnv(),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function closureOf(ci: CiMachine, { storePath }: BuiltSystem): Promise<readonly ClosurePath[]> {
  const json = await ci.output(["nix", "path-info", "--json", "--recursive", storePath]);
  return parsePathInfo(json).map(({ storePath, narHash, narSize }) => ({ storePath, narHash, narSize }));
}

/** Opens a depot before the first test of the calling file and closes it after the last. The answer gives it to a test. */
export function depotOfFile<Name extends string>(
  specs: Readonly<Record<Name, SystemSpec>>,
  options: { missing?: readonly NoInfer<Name>[] } = {},
): () => Depot<Name> {
  let depot: Depot<Name> | undefined;
  Deno.test.beforeAll(async () => {
    depot = await openDepot(specs, options);
  });
  Deno.test.afterAll(async () => {
    await depot?.[Symbol.asyncDispose]();
  });
  return () => {
    if (depot === undefined) throw new Error("Cannot give out the depot before the first test");
    return depot;
  };
}
