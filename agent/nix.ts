/**
 * Nix's command lines, each for one call: nothing here changes a setting of the machine. Works with Nix 2.18 to 2.34.
 * @module
 */
import type { Substituter } from "@nix-ota/common";
import type { Config } from "./config.ts";

/** Absolute paths of the programs that the agent runs, found once at start. */
export interface Tools {
  readonly nix: string;
  readonly nixStore: string;
  readonly nixEnv: string;
  readonly sh: string;
  readonly sync: string;
  readonly df: string;
  /** Null where systemd does not run. */
  readonly systemctl: string | null;
  /** Null where systemd does not run. */
  readonly systemdRun: string | null;
}

/** What a Nix call needs to know. */
export interface NixCall {
  readonly tools: Tools;
  /** What Nix gets as `--store`, or null for its own choice. */
  readonly store: string | null;
}

/** Seconds for a connection to a cache: a device on a slow radio link needs some. */
const CONNECT_SECONDS = 10;
/** Seconds without a byte before a download is tried again; Nix's own 300 is half an hour over all attempts. */
const STALL_SECONDS = 30;
/** Attempts at one download within a call. */
const DOWNLOAD_ATTEMPTS = 3;

/**
 * Options of a call that fetches: only these caches and keys, no memory of what a cache did not have a moment ago (a 404
 * is otherwise believed for an hour), nothing built, contents synced to the disk before a path counts as valid. Nix
 * before 2.25 warns that it does not know the last one.
 */
export function fetchOptions(substituters: readonly Substituter[]): readonly string[] {
  const urls = [...new Set(substituters.map(({ url }) => url))];
  const keys = [...new Set(substituters.flatMap((one) => one.keys))];
  const options: readonly (readonly [string, string | number | boolean])[] = [
    ["substituters", urls.join(" ")],
    ["extra-substituters", ""],
    ["trusted-public-keys", keys.join(" ")],
    ["extra-trusted-public-keys", ""],
    ["require-sigs", true],
    ["substitute", true],
    ["builders", ""],
    ["max-jobs", 0],
    ["fallback", false],
    ["narinfo-cache-negative-ttl", 0],
    ["narinfo-cache-positive-ttl", 0],
    ["connect-timeout", CONNECT_SECONDS],
    ["stalled-download-timeout", STALL_SECONDS],
    ["download-attempts", DOWNLOAD_ATTEMPTS],
    ["fsync-store-paths", true],
  ];
  return options.flatMap(([name, value]) => ["--option", name, String(value)]);
}

function storeOption({ store }: NixCall): readonly string[] {
  return store === null ? [] : ["--store", store];
}

/** `nix` with the commands that a default NixOS does not have switched on. */
function nixCommand({ tools }: NixCall): readonly string[] {
  return [tools.nix, "--extra-experimental-features", "nix-command"];
}

/** Fetches a closure; progress on stderr. */
export function realiseArgv(
  call: NixCall,
  storePath: string,
  substituters: readonly Substituter[],
): readonly string[] {
  const log = ["--log-format", "internal-json", "-v"];
  return [call.tools.nixStore, "--realise", storePath, ...storeOption(call), ...fetchOptions(substituters), ...log];
}

/** Says what would be fetched, on stderr; see `parseDryRun`. */
export function dryRunArgv(
  call: NixCall,
  storePath: string,
  substituters: readonly Substituter[],
): readonly string[] {
  return [
    call.tools.nixStore,
    "--realise",
    "--dry-run",
    storePath,
    ...storeOption(call),
    ...fetchOptions(substituters),
  ];
}

/** The facts of a whole closure in the store, as JSON; see `parsePathInfo`. */
export function pathInfoArgv(call: NixCall, storePath: string): readonly string[] {
  return [...nixCommand(call), "path-info", ...storeOption(call), "--json", "-r", storePath];
}

/** Every path of a closure, one a line. */
export function requisitesArgv(call: NixCall, storePath: string): readonly string[] {
  return [call.tools.nixStore, "--query", "--requisites", ...storeOption(call), storePath];
}

/** The facts of a whole closure in a cache, asked anew. */
export function cachePathInfoArgv(call: NixCall, storePath: string, cache: Substituter): readonly string[] {
  const options = fetchOptions([cache]);
  return [...nixCommand(call), "path-info", "--store", cache.url, ...options, "--json", "-r", storePath];
}

/** Reads every file of a closure and compares it with its hash; see `parseDamaged`. */
export function verifyArgv(call: NixCall, storePath: string): readonly string[] {
  return [...nixCommand(call), "store", "verify", ...storeOption(call), "--no-trust", "-r", storePath];
}

/** Fetches paths again, in place. */
export function repairArgv(
  call: NixCall,
  paths: readonly string[],
  substituters: readonly Substituter[],
): readonly string[] {
  return [call.tools.nixStore, "--repair-path", ...paths, ...storeOption(call), ...fetchOptions(substituters)];
}

/** Makes a system the newest generation of the profile. */
export function setProfileArgv(call: NixCall, profile: string, storePath: string): readonly string[] {
  const offline = ["--option", "substitute", "false", "--option", "max-jobs", "0"];
  return [call.tools.nixEnv, "--profile", profile, "--set", storePath, ...storeOption(call), ...offline];
}

/** Lists what nothing refers to, one path a line. */
export function deadPathsArgv(call: NixCall): readonly string[] {
  return [call.tools.nixStore, "--gc", "--print-dead", ...storeOption(call)];
}

/** Deletes paths to which nothing but each other refers. */
export function deletePathsArgv(call: NixCall, paths: readonly string[]): readonly string[] {
  return [call.tools.nixStore, "--delete", ...paths, ...storeOption(call)];
}

/** Frees at least so many bytes of what nothing refers to. */
export function collectGarbageArgv(call: NixCall, freeBytes: number): readonly string[] {
  return [call.tools.nixStore, "--gc", "--max-freed", String(freeBytes), ...storeOption(call)];
}

/** The caches that a device asks for a release: its own first, and none that its settings forbid. */
export function allowedSubstituters(
  { cache, allowHttp }: Pick<Config, "cache" | "allowHttp">,
  ofRelease: readonly Substituter[],
): readonly Substituter[] {
  const own = cache === null ? [] : [{ url: cache.url, keys: [cache.key.text] }];
  return [...own, ...ofRelease].filter(({ url }) => allowHttp || url.startsWith("https:"));
}
