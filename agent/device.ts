/**
 * Looks at the device: what runs, what would boot, how much room there is.
 * @module
 */
import { type Bytes, cleanLine, type DeviceState, digestOf, encodeUtf8, parseStorePath } from "@nix-ota/common";
import { type Context, runProgram } from "./context.ts";
import type { Look } from "./events.ts";
import { physicalPath } from "./paths.ts";
import { failedUnitsArgv, parseFailedUnits } from "./systemd.ts";
import { AGENT_VERSION } from "./version.ts";

/** Small system files: versions, identities, boot loader settings. */
const SMALL_MAX_BYTES = 64 * 1024;
/** Longest time for a program that only reports. */
const REPORT_MS = 10_000;
/** Where systemd-boot keeps its choice, on the usual mount points of the boot partition. */
const LOADER_DIRS = ["/boot", "/efi", "/boot/efi"] as const;

/** Looks at what runs and what the profile says. */
export async function lookAround({ config, system }: Pick<Context, "config" | "system">): Promise<Look> {
  const [running, booted, profile, bootId] = await Promise.all([
    linkedSystem(system.files, config.currentSystem),
    linkedSystem(system.files, config.bootedSystem),
    linkedSystem(system.files, config.profile),
    readLine(system.files, config.bootIdFile),
  ]);
  return { running, booted, profile, bootId: bootId === "" ? "unknown" : bootId.slice(0, 64) };
}

/** Links in a chain that are followed at most: current-system is one, a profile two. */
const LINKS_MAX = 8;

/**
 * The store path that a chain of links leads to, or null. The links are read, not resolved by the kernel: the store of
 * `--store` is not at /nix/store, and a path that is gone is still what the link says.
 */
async function linkedSystem(files: Context["system"]["files"], path: string): Promise<string | null> {
  let at = path;
  for (let n = 0; n < LINKS_MAX; n++) {
    const target = await files.readLink(at);
    if (target === null) return null;
    if (isStorePath(target)) return target;
    at = target.startsWith("/") ? target : `${at.slice(0, at.lastIndexOf("/"))}/${target}`;
  }
  return null;
}

function isStorePath(path: string): boolean {
  try {
    return parseStorePath(path).path === path;
  } catch {
    return false;
  }
}

async function readText(files: Context["system"]["files"], path: string): Promise<string> {
  try {
    const content: Bytes | null = await files.read(path, SMALL_MAX_BYTES);
    return content === null ? "" : new TextDecoder().decode(content);
  } catch {
    return ""; // Not readable: not known.
  }
}

async function readLine(files: Context["system"]["files"], path: string): Promise<string> {
  return cleanLine(await readText(files, path), 256);
}

/** Free and total bytes of the file system that holds the store, or null where `df` does not say. */
export async function diskOf(context: Context): Promise<DeviceState["disk"]> {
  const { config, tools } = context;
  const ran = await runProgram(context, [tools.df, "-Pk", physicalPath(config, "/nix/store")], {
    timeoutMs: REPORT_MS,
  });
  return ran.code === 0 ? parseDf(ran.stdout) : null;
}

/** Reads `df -Pk` (POSIX): sizes in KiB in the second and fourth column of the last line. */
export function parseDf(stdout: string): DeviceState["disk"] {
  const columns = stdout.trim().split("\n").at(-1)?.trim().split(/\s+/) ?? [];
  // A device name with blanks moves the columns; the capacity in percent is the anchor.
  const capacity = columns.findIndex((column) => /^\d+%$/.test(column));
  const [total, free] = [columns[capacity - 3], columns[capacity - 1]].map((column) => Number(column ?? "-") * 1024);
  if (!Number.isSafeInteger(total) || !Number.isSafeInteger(free)) return null;
  return { free: free ?? 0, total: total ?? 0 }; // In the order of the signed document.
}

/** Names of failed units; empty where systemd does not run. */
export async function failedUnitsOf(context: Context): Promise<readonly string[]> {
  const { systemctl } = context.tools;
  if (systemctl === null) return [];
  const ran = await runProgram(context, failedUnitsArgv(systemctl), { timeoutMs: REPORT_MS });
  return ran.code === 0 ? parseFailedUnits(ran.stdout) : [];
}

/** What a check-in says of the device itself. */
export type DeviceFacts = Pick<
  DeviceState,
  | "running"
  | "booted"
  | "profile"
  | "bootDefault"
  | "needsReboot"
  | "failedUnits"
  | "disk"
  | "kernel"
  | "nixosVersion"
  | "agent"
>;

/** Gathers what a check-in says of the device. */
export async function deviceFacts(context: Context, look: Look): Promise<DeviceFacts> {
  const { system } = context;
  const { running, booted, profile } = look;
  const [bootDefault, needsReboot, failedUnits, disk, nixosVersion] = await Promise.all([
    bootDefaultOf(context),
    needsRebootOf(context, look),
    failedUnitsOf(context),
    diskOf(context),
    running === null ? "" : readLine(system.files, `${physicalPath(context.config, running)}/nixos-version`),
  ]);
  return {
    running,
    booted,
    profile,
    bootDefault,
    needsReboot,
    failedUnits,
    disk,
    kernel: cleanLine(system.kernelRelease(), 64) || null,
    nixosVersion: nixosVersion.slice(0, 64) || null,
    agent: AGENT_VERSION,
  };
}

/** Whether another kernel, initial ramdisk or set of modules waits for a boot, as NixOS' own autoUpgrade asks. */
async function needsRebootOf({ config, system }: Context, { running, booted }: Look): Promise<boolean> {
  if (running === null || booted === null || running === booted) return false;
  for (const part of ["kernel", "initrd", "kernel-modules"]) {
    const [now, then] = await Promise.all([running, booted].map((one) => partOf(config, system, `${one}/${part}`)));
    if (now !== then) return true;
  }
  return false;
}

async function partOf(config: Context["config"], system: Context["system"], path: string): Promise<string | null> {
  const physical = physicalPath(config, path);
  return await system.files.readLink(physical) ?? await system.files.realPath(physical);
}

/** The system that the boot loader takes next: of systemd-boot's default entry, else null, for then nobody says. */
async function bootDefaultOf({ config, system }: Context): Promise<string | null> {
  for (const dir of LOADER_DIRS) {
    const generation = parseLoaderDefault(await readText(system.files, `${dir}/loader/loader.conf`));
    if (generation === null) continue;
    return await linkedSystem(system.files, `${config.profile}-${generation}-link`);
  }
  return null;
}

/** The generation in the default entry of systemd-boot's `loader.conf`, or null. */
export function parseLoaderDefault(text: string): number | null {
  const [, generation] = /^default[ \t]+nixos-generation-(\d{1,9})(?:[+*-][^\s]*)?(?:\.conf)?\s*$/m.exec(text) ?? [];
  return generation === undefined ? null : Number(generation);
}

/** SHA-256 of the machine's identity, hexadecimal, bound to this purpose so that it identifies nothing elsewhere; or null. */
export async function machineOf({ system }: Pick<Context, "system">): Promise<string | null> {
  const id = await readLine(system.files, "/etc/machine-id");
  return /^[0-9a-f]{32}$/.test(id) ? (await digestOf(encodeUtf8(`nix-ota machine ${id}`))).slice(7) : null;
}
