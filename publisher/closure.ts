/**
 * A system in the local Nix store and everything it needs.
 * @module
 */
import { type ClosureSummary, parseStorePath, schema, summariseClosure } from "@nix-ota/common";
import { CliError, EXIT, usageError } from "./errors.ts";
import { directoryOf, fileReason } from "./files.ts";
import { type NixOutput, nixReason, runNix } from "./nix.ts";
import { type LocalPath, parsePathInfo } from "./path_info.ts";

/** A system ready to be signed. */
export interface Closure {
  readonly storePath: string;
  readonly narHash: string;
  /** Such as `x86_64-linux`. */
  readonly system: string;
  readonly summary: ClosureSummary;
  readonly paths: readonly LocalPath[];
}

/** Links followed from `./result` to the store path; Nix itself makes one. */
const LINKS_MAX = 8;

function unusable(path: string, problem: string): CliError {
  return new CliError(EXIT.usage, `Cannot publish ${JSON.stringify(path)}: ${problem}`, { code: "closure_unusable" });
}

/**
 * The store path that an option means: a store path, or a link to one such as `./result`. Looks at links only, so
 * that the store may be elsewhere, as that of a build user or a container is.
 *
 * @throws {CliError} With exit code 2.
 */
export async function resolveStorePath(path: string): Promise<string> {
  let at = path.replace(/(?<=.)\/+$/, "");
  for (let links = 0; !at.startsWith("/nix/store/"); links++) {
    if (links >= LINKS_MAX) throw unusable(path, `it leads through more than ${LINKS_MAX} links`);
    try {
      const target = await Deno.readLink(at);
      at = target.startsWith("/") ? target : `${directoryOf(at)}/${target}`;
    } catch (error) {
      const isFile = await Deno.stat(at).then(() => true, () => false);
      throw unusable(
        path,
        isFile
          ? "it is neither in /nix/store nor a link to there (give what nix build prints, or ./result)"
          : `${fileReason(error)} (build the system, then give its path or ./result)`,
      );
    }
  }
  try {
    return parseStorePath(at.replace(/\/+$/, "")).path;
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw unusable(path, error.message.charAt(0).toLowerCase() + error.message.slice(1));
  }
}

const LISTED = schema.open({
  type: schema.oneOf(["regular", "symlink", "directory"]),
  size: schema.optional(schema.integer(0), 1),
  executable: schema.optional(schema.boolean, false),
});

/**
 * Whether what `nix store ls --json` says of `bin/switch-to-configuration` is a program that devices can run.
 * @param json Null where Nix found no such file.
 */
export function isActivationScript(json: string | null): boolean {
  if (json === null) return false;
  try {
    const { type, size, executable } = LISTED(JSON.parse(json), "file");
    return type === "symlink" || (type === "regular" && executable && size > 0);
  } catch {
    return false;
  }
}

/**
 * Checks that a path has the form of a NixOS system: what devices run is `bin/switch-to-configuration`.
 * @returns The system it is built for, from its `system` file, or null where it does not say.
 */
async function checkSystemShape(storePath: string, signal: AbortSignal): Promise<string | null> {
  const listed = await runNix(["store", "ls", "--json", "--", `${storePath}/bin/switch-to-configuration`], signal);
  if (!isActivationScript(listed.code === 0 ? listed.stdout : null)) {
    throw unusable(
      storePath,
      "it has no executable bin/switch-to-configuration, so it is no NixOS system " +
        "(build nixosConfigurations.<name>.config.system.build.toplevel)",
    );
  }
  const system = await runNix(["store", "cat", "--", `${storePath}/system`], signal);
  const text = system.stdout.trim();
  return system.code === 0 && /^[a-z0-9_]{1,32}-[a-z0-9]{1,16}$/.test(text) ? text : null;
}

/** The system of a closure: what it says itself, which `--system` must not contradict, else `--system`. */
export function chooseSystem(
  storePath: string,
  { found, wanted }: { found: string | null; wanted: string | null },
): string {
  if (found !== null && wanted !== null && found !== wanted) {
    throw usageError(`Cannot publish ${JSON.stringify(storePath)} for ${wanted} as it is built for ${found}`);
  }
  const system = found ?? wanted;
  if (system !== null) return system;
  throw usageError(`Cannot tell for which system ${JSON.stringify(storePath)} is built (give --system x86_64-linux)`);
}

/**
 * Walks a closure with Nix.
 * @throws {CliError} With exit code 2.
 */
export async function readClosure(
  path: string,
  { system, signal }: { system: string | null; signal: AbortSignal },
): Promise<Closure> {
  const storePath = await resolveStorePath(path);
  const paths = await walk(storePath, signal);
  const top = paths.find((one) => one.storePath === storePath);
  if (!top) throw unusable(storePath, "nix path-info does not list it");
  const found = await checkSystemShape(storePath, signal);
  return {
    storePath,
    narHash: top.narHash,
    system: chooseSystem(storePath, { found, wanted: system }),
    summary: await summariseClosure(paths),
    paths,
  };
}

/** Nix 2.33 and later ask for a version of the format, and mean to insist on it one day; older ones do not know it. */
async function runPathInfo(storePath: string, signal: AbortSignal): Promise<NixOutput> {
  const plain = await runNix(["path-info", "--json", "-r", "--", storePath], signal);
  if (plain.code === 0 || !plain.stderr.includes("--json-format")) return plain;
  return await runNix(["path-info", "--json", "--json-format", "2", "-r", "--", storePath], signal);
}

async function walk(storePath: string, signal: AbortSignal): Promise<readonly LocalPath[]> {
  const { code, stdout, stderr } = await runPathInfo(storePath, signal);
  if (code !== 0) throw unusable(storePath, `nix cannot walk its closure, ${nixReason(stderr)}`);
  try {
    return parsePathInfo(stdout);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new CliError(EXIT.usage, error.message, { code: "closure_unusable", cause: error });
  }
}
