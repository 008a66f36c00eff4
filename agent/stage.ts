/**
 * Staging: fetch a closure, prove that it is the signed one byte for byte, make it durable.
 * @module
 */
import {
  CLOSURE_PATHS_MAX,
  type ClosurePath,
  formatBytes,
  type Reason,
  type Substituter,
  summariseClosure,
  type Target,
} from "@nix-ota/common";
import { linkDurably, makeDirectoryDurably } from "./atomic_file.ts";
import { type Context, nixCall, runProgram } from "./context.ts";
import { diskOf, lookAround } from "./device.ts";
import type { Failure } from "./events.ts";
import {
  allowedSubstituters,
  cachePathInfoArgv,
  collectGarbageArgv,
  deadPathsArgv,
  deletePathsArgv,
  dryRunArgv,
  pathInfoArgv,
  realiseArgv,
  repairArgv,
  requisitesArgv,
  verifyArgv,
} from "./nix.ts";
import { classifyNixError } from "./nix_errors.ts";
import { createProgressReader, type FetchProgress, parseDamaged, parseDryRun, parsePathInfo } from "./nix_output.ts";
import { physicalPath } from "./paths.ts";
import type { Accepted } from "./releases.ts";
import type { Ran } from "./system.ts";

/** Why a closure could not be staged. `remember`: the release itself is wrong, so that trying it again is of no use. */
export class StageError extends Error {
  override readonly name: string = "StageError";
  readonly failure: Failure;
  readonly remember: boolean;

  constructor(reason: Reason, detail: string, { remember = false }: { remember?: boolean } = {}) {
    super(detail);
    this.failure = { reason, detail };
    this.remember = remember;
  }
}

/** What staging needs besides the context. */
export interface Staging {
  readonly accepted: Accepted;
  /** Called often; may be ignored. */
  readonly onProgress: (progress: FetchProgress) => void;
  /** Ends the attempt. */
  readonly signal: AbortSignal;
}

/** How often free space is looked at while a closure is fetched: a cache can deliver more than it announced. */
const DISK_WATCH_MS = 2_000;
/** Longest time for one look into the store or the cache. */
const QUERY_MS = 120_000;
/** Longest time for reading a whole closure: 50 GB at 30 MB/s of an SD card. */
const VERIFY_MS = 30 * 60_000;
/** Most paths that are deleted by name: more do not fit the command line of a program (2 MiB on Linux). */
const DROPPED_MAX = 16_384;
/** Longest time for writing all that waits to be written. */
const SYNC_MS = 30 * 60_000;

/** Fetches a closure and checks it; durable when it returns. @throws {StageError} */
export async function stageClosure(context: Context, staging: Staging): Promise<void> {
  const { target, verified } = staging.accepted;
  const caches = allowedSubstituters(context.config, verified.release.substituters);
  if (caches.length === 0 && verified.release.substituters.length > 0) {
    throw new StageError("cache_not_allowed", "the release names only http caches, and allowHttp is false");
  }
  // Before the first byte: Nix skips a root whose path is not there yet, and protects the path once it is.
  await rootClosure(context, target.storePath);
  await makeRoom(context, target, caches);
  await realise(context, caches, staging);
  await checkClosure(context, target, caches);
  await checkContents(context, target.storePath, caches);
  await checkShape(context, target.storePath);
  await syncStore(context);
}

/** Protects a closure that is fetched or on trial from garbage collection. */
export async function rootClosure({ system, paths, config }: Context, storePath: string): Promise<void> {
  await makeDirectoryDurably(system.files, config.gcRootsDir, 0o755);
  await linkDurably(system.files, { target: storePath, path: paths.rootNext });
}

/** Makes sure that the closure fits, by what is signed of it, else by what is missing of it, else after collecting garbage. */
async function makeRoom(context: Context, target: Target, caches: readonly Substituter[]): Promise<void> {
  const { config, system } = context;
  const reserve = config.reserveMiB * 1024 * 1024;
  const disk = await diskOf(context);
  if (disk === null || disk.free >= target.closure.narSize + reserve) return;
  const missing = await missingBytes(context, target.storePath, caches);
  if (disk.free >= missing + reserve) return;
  const wanted = missing + reserve - disk.free;
  if (config.collectGarbage) {
    system.log("info", "collecting garbage", { wantedBytes: wanted, freeBytes: disk.free });
    await runProgram(context, collectGarbageArgv(nixCall(context), wanted), { timeoutMs: VERIFY_MS });
    const after = await diskOf(context);
    if (after !== null && after.free >= missing + reserve) return;
  }
  throw new StageError(
    "insufficient_space",
    `the closure needs ${formatBytes(missing)} and ${formatBytes(reserve)} are kept free: ` +
      `free are ${formatBytes(disk.free)} of ${formatBytes(disk.total)}`,
  );
}

async function missingBytes(context: Context, storePath: string, caches: readonly Substituter[]): Promise<number> {
  const ran = await runProgram(context, dryRunArgv(nixCall(context), storePath, caches), { timeoutMs: QUERY_MS });
  if (ran.code !== 0) throw failed(ran, [ran.stderr], "stage_timeout");
  return parseDryRun(ran.stderr);
}

async function realise(context: Context, caches: readonly Substituter[], staging: Staging): Promise<void> {
  const { config } = context;
  const { target } = staging.accepted;
  const reader = createProgressReader();
  const watch = watchDisk(context, staging.signal);
  try {
    const ran = await runProgram(context, realiseArgv(nixCall(context), target.storePath, caches), {
      timeoutMs: config.stageTimeoutSeconds * 1000,
      signal: watch.signal,
      onStderrLine: (line) => {
        reader.read(line);
        staging.onProgress(reader.progress());
      },
    });
    if (watch.full()) throw new StageError("insufficient_space", "the disk ran full while the closure was fetched");
    if (ran.code !== 0) throw failed(ran, reader.messages(), "stage_timeout");
  } finally {
    watch.stop();
  }
}

/** Stops a fetch that eats the reserve: the size of what a cache sends is only checked after it was unpacked. */
function watchDisk(
  context: Context,
  outer: AbortSignal,
): { signal: AbortSignal; full: () => boolean; stop: () => void } {
  const fetching = new AbortController();
  const ended = new AbortController();
  const least = context.config.reserveMiB * 1024 * 1024 / 2;
  let full = false;
  const watching = async () => {
    while (!ended.signal.aborted) {
      await context.system.sleep(DISK_WATCH_MS, ended.signal);
      if (ended.signal.aborted) return;
      const disk = await diskOf(context);
      if (disk === null || disk.free >= least) continue;
      full = true;
      fetching.abort();
    }
  };
  if (least > 0) void watching();
  return { signal: AbortSignal.any([outer, fetching.signal]), full: () => full, stop: () => ended.abort() };
}

function failed(ran: Ran, messages: readonly string[], onTimeout: Reason): StageError {
  if (ran.killed === "timeout") return new StageError(onTimeout, "Nix did not end in time");
  if (ran.killed === "signal") return new StageError("interrupted", "the fetch was stopped");
  const { reason, line } = classifyNixError(messages);
  return new StageError(reason, line);
}

/**
 * Compares the closure in the store with the signed one. Paths that differ from what the caches have, such as one that
 * was built on the device, are fetched again once; but none that the running system uses: Nix repairs in place, and a
 * power cut in the middle of that would take the running system along.
 */
async function checkClosure(context: Context, target: Target, caches: readonly Substituter[]): Promise<void> {
  const found = await closureOf(context, target.storePath);
  if (await isSigned(found, target)) return;
  const differing = await differingPaths(context, { found, storePath: target.storePath, caches });
  const inUse = await pathsInUse(context);
  if (differing.length > 0 && !differing.some((path) => inUse.has(path))) {
    context.system.log("warn", "closure differs from the signed one: fetching paths again", {
      paths: differing.length,
    });
    await repair(context, differing, caches);
    if (await isSigned(await closureOf(context, target.storePath), target)) return;
  }
  await dropClosure(context, found);
  throw new StageError(
    "closure_mismatch",
    `the closure of ${target.storePath} has ${found.length} paths that do not add up to the signed digest of ` +
      `${target.closure.paths} paths`,
  );
}

/**
 * Deletes of a closure what nothing else needs. Not everything that a cache made Nix believe can be repaired in place,
 * such as the references of a path, and Nix never asks again about a path that it calls valid.
 */
async function dropClosure(context: Context, closure: readonly ClosurePath[]): Promise<void> {
  const { system, paths } = context;
  await system.files.remove(paths.rootNext);
  const listed = await runProgram(context, deadPathsArgv(nixCall(context)), { timeoutMs: VERIFY_MS });
  const dead = new Set(listed.stdout.split("\n"));
  const dropped = closure.map(({ storePath }) => storePath).filter((path) => dead.has(path));
  if (listed.code !== 0 || dropped.length === 0 || dropped.length > DROPPED_MAX) return;
  system.log("warn", "dropping a closure that is not the signed one", { paths: dropped.length });
  const ran = await runProgram(context, deletePathsArgv(nixCall(context), dropped), { timeoutMs: VERIFY_MS });
  if (ran.code !== 0) system.log("warn", "could not drop it", { detail: classifyNixError([ran.stderr]).line });
}

async function isSigned(found: readonly ClosurePath[], { closure, storePath, narHash }: Target): Promise<boolean> {
  const { paths, narSize, digest } = await summariseClosure(found);
  const top = found.find((path) => path.storePath === storePath);
  return digest === closure.digest && paths === closure.paths && narSize === closure.narSize &&
    top?.narHash === narHash;
}

async function closureOf(context: Context, storePath: string): Promise<readonly ClosurePath[]> {
  const ran = await runProgram(context, pathInfoArgv(nixCall(context), storePath), { timeoutMs: QUERY_MS });
  if (ran.code !== 0) throw failed(ran, [ran.stderr], "store_corrupt");
  const found = parsePathInfo(ran.stdout);
  if (found.length > CLOSURE_PATHS_MAX) {
    throw new StageError("closure_mismatch", `the closure has more than ${CLOSURE_PATHS_MAX} paths`, {
      remember: true,
    });
  }
  return found;
}

/** Every path of the running, the booted and the next system. */
async function pathsInUse(context: Context): Promise<ReadonlySet<string>> {
  const { running, booted, profile } = await lookAround(context);
  const used = new Set<string>();
  for (const system of new Set([running, booted, profile])) {
    if (system === null) continue;
    const ran = await runProgram(context, requisitesArgv(nixCall(context), system), { timeoutMs: QUERY_MS });
    for (const path of ran.stdout.split("\n")) used.add(path.trim());
  }
  return used;
}

async function differingPaths(
  context: Context,
  { found, storePath, caches }: {
    found: readonly ClosurePath[];
    storePath: string;
    caches: readonly Substituter[];
  },
): Promise<readonly string[]> {
  for (const cache of caches) {
    const ran = await runProgram(context, cachePathInfoArgv(nixCall(context), storePath, cache), {
      timeoutMs: QUERY_MS,
    });
    if (ran.code !== 0) continue;
    const offered = new Map(parsePathInfo(ran.stdout).map((path) => [path.storePath, path.narHash]));
    const differing = found.filter((path) => (offered.get(path.storePath) ?? path.narHash) !== path.narHash);
    if (differing.length > 0) return differing.map((path) => path.storePath);
  }
  return [];
}

/**
 * Reads every file of the closure and compares it with its hash: after a power cut or on a full disk, paths that Nix
 * calls valid may be empty. Damaged ones are fetched again once.
 */
export async function checkContents(
  context: Context,
  storePath: string,
  caches: readonly Substituter[],
): Promise<void> {
  const first = await damagedPaths(context, storePath);
  if (first === null) return;
  context.system.log("warn", "store paths are damaged: fetching them again", { paths: first.length });
  await repair(context, first, caches);
  const second = await damagedPaths(context, storePath);
  if (second !== null) {
    throw new StageError("store_corrupt", `damaged and not repaired: ${second.join(" ") || storePath}`);
  }
}

/** The damaged paths of a closure, or null where it is whole. */
async function damagedPaths(context: Context, storePath: string): Promise<readonly string[] | null> {
  const ran = await runProgram(context, verifyArgv(nixCall(context), storePath), { timeoutMs: VERIFY_MS });
  if (ran.code === 0) return null;
  const damaged = parseDamaged(ran.stderr);
  if (damaged.length === 0) throw new StageError("store_corrupt", classifyNixError([ran.stderr]).line);
  return damaged;
}

async function repair(context: Context, paths: readonly string[], caches: readonly Substituter[]): Promise<void> {
  const ran = await runProgram(context, repairArgv(nixCall(context), paths, caches), {
    timeoutMs: context.config.stageTimeoutSeconds * 1000,
    // Begun, it is ended: Nix repairs in place.
    signal: new AbortController().signal,
  });
  if (ran.code !== 0) {
    const { reason, line } = classifyNixError([ran.stderr]);
    context.system.log("warn", "repair failed", { reason, detail: line });
  }
}

/** Refuses what is not a NixOS system: an empty script would end well and activate nothing. */
async function checkShape({ config, system }: Context, storePath: string): Promise<void> {
  const root = physicalPath(config, storePath);
  const script = await system.files.stat(`${root}/bin/switch-to-configuration`);
  if (script?.kind !== "file" || script.sizeBytes === 0 || (script.mode & 0o111) === 0) {
    const detail = `"${storePath}" has no executable bin/switch-to-configuration`;
    throw new StageError("not_a_system", detail, { remember: true });
  }
  const version = await system.files.stat(`${root}/nixos-version`);
  if (version?.kind !== "file" || version.sizeBytes === 0) {
    throw new StageError("not_a_system", `"${storePath}" has no nixos-version`, { remember: true });
  }
}

/** Makes the store durable, whatever Nix synced by itself. */
export async function syncStore(context: Context): Promise<void> {
  const { config, tools } = context;
  const store = physicalPath(config, "/nix/store");
  const one = await runProgram(context, [tools.sync, "-f", store], { timeoutMs: SYNC_MS });
  if (one.code === 0) return;
  // Not every sync knows -f; all file systems are more than enough.
  const all = await runProgram(context, [tools.sync], { timeoutMs: SYNC_MS });
  if (all.code !== 0) throw new StageError("store_read_only", `the store cannot be synced: ${all.stderr.trim()}`);
}
