/**
 * Finds the programs that the agent runs, once, as absolute paths that stay valid while the system changes under it.
 * @module
 */
import type { Config } from "./config.ts";
import { PROGRAM_DIRS } from "./context.ts";
import type { Tools } from "./nix.ts";
import type { System } from "./system.ts";

/** There only where systemd is the machine's first process (sd_booted(3)). */
const SYSTEMD_MARK = "/run/systemd/system";

/** A program that the agent cannot do without is missing. */
export class MissingToolError extends Error {
  override readonly name: string = "MissingToolError";
}

/** Finds the programs. @throws {MissingToolError} Naming the one that is missing and where it was looked for. */
export async function findTools(system: System, config: Config): Promise<Tools> {
  const path = (system.env("PATH") ?? "").split(":").filter((dir) => dir.startsWith("/"));
  const dirs = [...(config.nixBinDir === null ? [] : [config.nixBinDir]), ...path, ...PROGRAM_DIRS];
  const nixDirs = config.nixBinDir === null ? dirs : [config.nixBinDir];
  const need = async (name: string, where: readonly string[]): Promise<string> => {
    const found = await find(system, name, where);
    if (found !== null) return found;
    const hint = name.startsWith("nix") ? " (set nixBinDir)" : "";
    throw new MissingToolError(`Cannot find the program "${name}" in ${[...new Set(where)].join(", ")}${hint}`);
  };
  const systemd = await system.files.stat(SYSTEMD_MARK) !== null;
  return {
    nix: await need("nix", nixDirs),
    nixStore: await need("nix-store", nixDirs),
    nixEnv: await need("nix-env", nixDirs),
    sh: await need("sh", ["/bin", ...dirs]),
    sync: await need("sync", dirs),
    df: await need("df", dirs),
    systemctl: systemd ? await find(system, "systemctl", dirs) : null,
    systemdRun: systemd ? await find(system, "systemd-run", dirs) : null,
  };
}

/**
 * The directory's own links are resolved, so that a switch does not exchange the program; the program's are not, since
 * Nix tells its commands apart by the name it is called by.
 */
async function find(system: System, name: string, dirs: readonly string[]): Promise<string | null> {
  for (const dir of dirs) {
    const found = await system.files.stat(`${dir}/${name}`);
    if (found?.kind !== "file" || (found.mode & 0o111) === 0) continue;
    return `${await system.files.realPath(dir) ?? dir}/${name}`;
  }
  return null;
}
