/**
 * The check before signing: can a device really fetch the whole closure from the caches that the release names?
 * @module
 */
import { type CacheKey, verifyEd25519 } from "@nix-ota/common";
import { type Cache, FAILURES_MAX, isFailure, probeNar, readNarinfo } from "./cache_client.ts";
import { isContentAddressed } from "./content_address.ts";
import { interrupted } from "./errors.ts";
import { HttpError } from "./http.ts";
import { fingerprintOfPath, type Narinfo, NarinfoError } from "./narinfo.ts";
import type { LocalPath } from "./path_info.ts";
import { mapLimited } from "./retry.ts";

/** Requests at once to all caches together: quick over long lines, and light for the cache. */
const CONCURRENCY = 24;
/** What can be wrong with a path in a cache, worst for a device first. */
export const PROBLEM_KINDS = [
  "differs",
  "missing",
  "unsigned",
  "untrusted",
  "damaged",
  "unanswered",
] as const;

/** What is wrong with one path in one cache. */
export interface CacheProblem {
  readonly kind: typeof PROBLEM_KINDS[number];
  readonly storePath: string;
  readonly cache: string;
  /** A clause for people, such as "it is not there (404)". */
  readonly reason: string;
}

/** A path that a cache serves as the release needs it. */
export interface CachedPath {
  /** Bytes to download; the unpacked size where the cache does not say. */
  readonly downloadSize: number;
  /** Name of the key that signs it, or null where the path is content-addressed. */
  readonly keyName: string | null;
}

/** What the check found. */
export interface Preflight {
  /** Paths that no cache serves well, or that some cache serves with another content: the release must not go out. */
  readonly problems: readonly CacheProblem[];
  /** What is wrong in one cache where another one serves the path well. */
  readonly warnings: readonly CacheProblem[];
  /** Every good path. */
  readonly found: ReadonlyMap<string, CachedPath>;
}

/** What to check. */
export interface PreflightOptions {
  readonly paths: readonly LocalPath[];
  readonly caches: readonly Cache[];
  readonly keys: readonly CacheKey[];
  readonly signal: AbortSignal;
  /** Told after each path. */
  readonly onPath?: (done: number, storePath: string) => void;
}

/** Asks every cache for every path. Problems are answers, not exceptions. */
export async function checkCaches(options: PreflightOptions): Promise<Preflight> {
  const { caches } = options;
  const problems: CacheProblem[] = [];
  const warnings: CacheProblem[] = [];
  const found = new Map<string, CachedPath>();
  let done = 0;
  await mapLimited(options.paths, CONCURRENCY, async (path) => {
    const verdicts = await Promise.all(caches.map((cache) => checkPath(cache, path, options.keys)));
    if (options.signal.aborted) throw interrupted("checking the binary cache");
    const bad = verdicts.filter((verdict) => "kind" in verdict);
    const good = verdicts.find((verdict) => "downloadSize" in verdict);
    const fatal = bad.filter(({ kind }) => kind === "differs");
    if (good && fatal.length === 0) {
      found.set(path.storePath, good);
      warnings.push(...bad);
    } else {
      problems.push(...(good ? fatal : bad));
    }
    done += 1;
    options.onPath?.(done, path.storePath);
  });
  const order = (a: CacheProblem, b: CacheProblem): number =>
    PROBLEM_KINDS.indexOf(a.kind) - PROBLEM_KINDS.indexOf(b.kind) || (a.storePath < b.storePath ? -1 : 1);
  return { problems: problems.sort(order), warnings: warnings.sort(order), found };
}

/** The names of the keys that sign a path in the caches: what to tell someone who gave no key. */
export async function signingKeyNames(storePath: string, caches: readonly Cache[]): Promise<readonly string[]> {
  const answers = await Promise.all(caches.map((cache) => readNarinfo(cache, storePath).catch(() => null)));
  const names = answers.flatMap((answer) => answer !== null && "signatures" in answer ? answer.signatures : []);
  return [...new Set(names.map(({ keyName }) => keyName))].sort();
}

/** A problem without its place. */
type Finding = Pick<CacheProblem, "kind" | "reason">;

async function checkPath(cache: Cache, path: LocalPath, keys: readonly CacheKey[]): Promise<CachedPath | CacheProblem> {
  const found = await lookUp(cache, path, keys);
  return "kind" in found ? { ...found, storePath: path.storePath, cache: cache.href } : found;
}

async function lookUp(cache: Cache, path: LocalPath, keys: readonly CacheKey[]): Promise<CachedPath | Finding> {
  try {
    const narinfo = await readNarinfo(cache, path.storePath);
    if ("status" in narinfo) return statusFinding(narinfo.status, "it");
    const verdict = await judgeNarinfo(path, narinfo, keys);
    if ("kind" in verdict) return verdict;
    const nar = await checkNar(cache, narinfo);
    if (nar !== null) return nar;
    return { downloadSize: narinfo.fileSize ?? narinfo.narSize, keyName: verdict.keyName };
  } catch (error) {
    if (error instanceof HttpError) return { kind: "unanswered", reason: error.message };
    if (error instanceof NarinfoError) return { kind: "damaged", reason: error.message };
    throw error;
  }
}

async function checkNar(cache: Cache, narinfo: Narinfo): Promise<Finding | null> {
  const probe = await probeNar(cache, narinfo);
  if (probe.kind === "not_there") return { ...statusFinding(probe.status, "its NAR") };
  if (probe.length === null || narinfo.fileSize === null || probe.length === narinfo.fileSize) return null;
  return { kind: "damaged", reason: `its NAR has ${probe.length} bytes where the narinfo says ${narinfo.fileSize}` };
}

/** What a status says of the path ("it") or its NAR. */
function statusFinding(status: number | null, what: "it" | "its NAR"): Finding {
  if (status === null) {
    return { kind: "unanswered", reason: `not asked, as the cache failed ${FAILURES_MAX} times before` };
  }
  if (isFailure(status)) return { kind: "unanswered", reason: `the cache answers ${status}` };
  if (status === 401 || status === 403) {
    return { kind: "missing", reason: `the cache denies access to ${what} (${status})` };
  }
  return { kind: "missing", reason: `${what} is not there (${status})` };
}

/**
 * Whether a narinfo is what the release signs: the same path with the same content and references as here, and signed
 * by a key that the release names, unless the path's own name proves its content.
 */
export async function judgeNarinfo(
  local: LocalPath,
  narinfo: Narinfo,
  keys: readonly CacheKey[],
): Promise<{ keyName: string | null } | Finding> {
  if (narinfo.storePath !== local.storePath) {
    return { kind: "damaged", reason: "its narinfo is of another path" };
  }
  if (narinfo.narHash !== local.narHash || narinfo.narSize !== local.narSize) {
    return { kind: "differs", reason: "the cache has another content than the store here" };
  }
  if (narinfo.references.join(" ") !== local.references.join(" ")) {
    return { kind: "differs", reason: "the cache lists other references than the store here" };
  }
  const message = fingerprintOfPath(narinfo);
  for (const key of keys) {
    for (const { keyName, sig } of narinfo.signatures) {
      // Nix looks a signature's key up by its name, so the name must fit, too.
      if (keyName === key.name && await verifyEd25519(key.bytes, message, sig)) return { keyName };
    }
  }
  if (await isContentAddressed(narinfo)) return { keyName: null };
  return unsignedProblem(narinfo, keys);
}

function unsignedProblem(narinfo: Narinfo, keys: readonly CacheKey[]): Finding {
  const names = [...new Set(narinfo.signatures.map(({ keyName }) => keyName))];
  if (names.length === 0) return { kind: "unsigned", reason: "it has no signature" };
  const named = names.filter((name) => keys.some((key) => key.name === name));
  return named.length > 0
    ? { kind: "untrusted", reason: `its signature by ${named.join(", ")} is not valid for the key given` }
    : { kind: "untrusted", reason: `it is signed by ${names.join(", ")} only` };
}
