/**
 * Staging: fetch a closure, prove that it is the signed one byte for byte, make it durable.
 * @module
 */
import { formatBytes, type Substituter, type Target } from "@nix-ota/common";
import { linkDurably, makeDirectoryDurably } from "./atomic_file.ts";
import { checkClosure, checkContents } from "./closure_check.ts";
import { type Context, nixCall, runProgram } from "./context.ts";
import { diskOf } from "./device.ts";
import { allowedSubstituters, collectGarbageArgv, dryRunArgv, realiseArgv } from "./nix.ts";
import { createProgressReader, type FetchProgress, parseDryRun } from "./nix_output.ts";
import { physicalPath } from "./paths.ts";
import type { Accepted } from "./releases.ts";
import { nixFailure, StageError } from "./stage_error.ts";

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
/** Longest time for collecting garbage on a slow disk. */
const GARBAGE_MS = 30 * 60_000;
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
    await runProgram(context, collectGarbageArgv(nixCall(context), wanted), { timeoutMs: GARBAGE_MS });
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
  if (ran.code !== 0) throw nixFailure(ran, [ran.stderr], "stage_timeout");
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
    if (ran.code !== 0) throw nixFailure(ran, reader.messages(), "stage_timeout");
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
