/** The machine that builds, signs and uploads: what CI is to a fleet. */

import type { NixTools } from "../../tools/nix_tools.ts";
import type { CommandResult } from "../../tools/run_command.ts";
import type { ExecOptions } from "./device.ts";
import { blobsOf, type BuiltSystem, incompressible, nixSpec, type SystemSpec } from "./closures.ts";
import { NamespaceMachine } from "./namespace/machine.ts";

/** A cache key: its name and the two texts as Nix writes them, `name:base64`. */
export type CacheKey = { publicKey: string; secretKey: string };

/** How a copy into a cache differs from the ordinary. */
export type CopyOptions = {
  /** What signs every path on its way; nothing is signed without it. */
  key?: CacheKey;
  /** zstd unless told: xz takes 15 s for what zstd does in 0.2 s. */
  compression?: "zstd" | "xz" | "none";
};

/** Applets that the first derivation needs before the busybox path exists. */
const BOOTSTRAP_APPLETS = ["sh", "mkdir", "cp", "ln"];

/** A private Nix store in which systems are built. */
export class CiMachine implements AsyncDisposable {
  readonly #machine: NamespaceMachine;
  /** Host path that the machine sees as well. */
  readonly #dir: string;

  private constructor(machine: NamespaceMachine, dir: string) {
    this.#machine = machine;
    this.#dir = dir;
  }

  /** @throws {Error} When this user may not make namespaces. */
  static async create(tools: NixTools): Promise<CiMachine> {
    const machine = await NamespaceMachine.create({ tools, role: "ci" });
    try {
      const dir = await Deno.realPath(await Deno.makeTempDir({ prefix: "nix-ota-ci-" }));
      await writeBootstrap(`${dir}/busybox/bin`, tools);
      await Deno.mkdir(`${dir}/blobs`);
      await machine.boot();
      return new CiMachine(machine, dir);
    } catch (cause) {
      await machine.dispose();
      throw cause;
    }
  }

  /** Builds systems, in the order given. Equal specs give equal paths, on every machine. */
  async build(specs: readonly SystemSpec[]): Promise<BuiltSystem[]> {
    await this.#writeBlobs(specs);
    const nixSpecs = specs.map(nixSpec);
    const printed = await this.#machine.output([
      ...["nix-build", "--no-out-link", `${import.meta.dirname}/system/system.nix`],
      ...["--arg", "busybox", `${this.#dir}/busybox`, "--arg", "blobs", `${this.#dir}/blobs`],
      ...["--argstr", "specs", JSON.stringify(nixSpecs)],
    ]);
    const storePaths = printed.trim().split("\n");
    return await Promise.all(nixSpecs.map(({ generation, version }, index) => {
      const storePath = storePaths[index];
      if (storePath === undefined) throw new Error(`Cannot find the result of generation ${generation} in: ${printed}`);
      return this.#describe({ generation, version, storePath });
    }));
  }

  /** Makes a key pair for a cache, such as "cache-1". */
  async makeKey(name: string): Promise<CacheKey> {
    const secretFile = `${this.#dir}/${name}.secret`;
    const publicFile = `${this.#dir}/${name}.public`;
    await this.#machine.output(["nix-store", "--generate-binary-cache-key", name, secretFile, publicFile]);
    const [secretKey, publicKey] = await Promise.all([Deno.readTextFile(secretFile), Deno.readTextFile(publicFile)]);
    return { secretKey, publicKey };
  }

  /** Copies whole closures to a `file://` cache in `cacheDir` (a path of the host), which is made if it is not there. */
  async copyToCache(systems: readonly BuiltSystem[], cacheDir: string, options: CopyOptions = {}): Promise<void> {
    const { key, compression = "zstd" } = options;
    const query = new URLSearchParams({ compression });
    if (key !== undefined) {
      // One file a call: two copies at once would write into each other's.
      const keyFile = `${this.#dir}/signing-key-${crypto.randomUUID()}`;
      await Deno.writeTextFile(keyFile, key.secretKey, { mode: 0o600 });
      query.set("secret-key", keyFile);
    }
    const paths = systems.map((system) => system.storePath);
    await this.#machine.output(["nix", "copy", "--to", `file://${cacheDir}?${query}`, ...paths]);
  }

  /** Runs a command on the machine, which has `nix` with its experimental commands. @throws {Error} If it fails. */
  output(argv: readonly string[]): Promise<string> {
    return this.#machine.output(argv);
  }

  /** As `output()`, but a failure is an answer like another. */
  exec(argv: readonly string[], options?: ExecOptions): Promise<CommandResult> {
    return this.#machine.exec(argv, options);
  }

  async dispose(): Promise<void> {
    await this.#machine.dispose();
    await Deno.remove(this.#dir, { recursive: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }

  async #writeBlobs(specs: readonly SystemSpec[]): Promise<void> {
    for (const { name, seed, sizeBytes } of blobsOf(specs)) {
      await Deno.writeFile(`${this.#dir}/blobs/${name}`, await incompressible(seed, sizeBytes));
    }
  }

  async #describe(system: Pick<BuiltSystem, "generation" | "version" | "storePath">): Promise<BuiltSystem> {
    const json = await this.#machine.output(["nix", "path-info", "--json", "--recursive", system.storePath]);
    const closure = pathInfos(JSON.parse(json));
    const narSizeBytes = closure.reduce((sum, { narSize }) => sum + narSize, 0);
    return { ...system, paths: closure.map(({ path }) => path).sort(), narSizeBytes };
  }
}

async function writeBootstrap(bin: string, { busybox }: NixTools): Promise<void> {
  await Deno.mkdir(bin, { recursive: true });
  await Deno.copyFile(busybox, `${bin}/busybox`);
  await Promise.all(BOOTSTRAP_APPLETS.map((applet) => Deno.symlink("busybox", `${bin}/${applet}`)));
}

type PathInfo = { path: string; narSize: number };

/** Nix 2.19 and later print an object by path, earlier ones an array. */
function pathInfos(json: unknown): PathInfo[] {
  if (Array.isArray(json)) return json;
  return Object.entries(json as Record<string, { narSize: number }>).map(([path, { narSize }]) => ({ path, narSize }));
}
