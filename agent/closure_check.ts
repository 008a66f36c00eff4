/**
 * Proves that a closure in the store is the signed one byte for byte, and mends it once where it is not.
 * @module
 */
import { CLOSURE_PATHS_MAX, type ClosurePath, type Substituter, summariseClosure, type Target } from "@nix-ota/common";
import { type Context, nixCall, runProgram } from "./context.ts";
import { lookAround } from "./device.ts";
import {
  cachePathInfoArgv,
  deadPathsArgv,
  deletePathsArgv,
  pathInfoArgv,
  repairArgv,
  requisitesArgv,
  verifyArgv,
} from "./nix.ts";
import { classifyNixError } from "./nix_errors.ts";
import { parseDamaged, parsePathInfo } from "./nix_output.ts";
import { nixFailure, StageError } from "./stage_error.ts";

/** Longest time for one look into the store or the cache. */
const QUERY_MS = 120_000;
/** Longest time for reading a whole closure: 50 GB at 30 MB/s of an SD card. */
const VERIFY_MS = 30 * 60_000;
/** Most paths that are deleted by name: more do not fit the command line of a program (2 MiB on Linux). */
const DROPPED_MAX = 16_384;

/**
 * Compares the closure in the store with the signed one. Paths that differ from what the caches have, such as one that
 * was built on the device, are fetched again once; but none that the running system uses: Nix repairs in place, and a
 * power cut in the middle of that would take the running system along.
 */
export async function checkClosure(context: Context, target: Target, caches: readonly Substituter[]): Promise<void> {
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
  if (ran.code !== 0) throw nixFailure(ran, [ran.stderr], "store_corrupt");
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
