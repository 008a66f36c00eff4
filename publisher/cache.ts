/**
 * The check before signing: can a device really fetch the whole closure from the caches that the release names?
 * @module
 */
import { type Bytes, type CacheKey, decodeUtf8, parseRetryAfter, parseStorePath, verifyEd25519 } from "@nix-ota/common";
import { isContentAddressed } from "./content_address.ts";
import { interrupted } from "./errors.ts";
import { type HttpAnswer, HttpError, type HttpRequest, send } from "./http.ts";
import { fingerprintOfPath, type Narinfo, NARINFO_MAX_BYTES, NarinfoError, narUrl, parseNarinfo } from "./narinfo.ts";
import type { LocalPath } from "./path_info.ts";
import { mapLimited, retrying, type RetryPolicy } from "./retry.ts";

/** Requests at once to all caches together: quick over long lines, and light for the cache. */
const CONCURRENCY = 24;
/** Longest time for one request to a cache, in milliseconds. */
const TIMEOUT_MS = 20_000;
/** A cache that fails for so many paths is not asked for the rest. */
const FAILURES_MAX = 10;
/** Longest time that a cache can make us wait before a retry, in milliseconds. */
const RETRY_MAX_MS = 10_000;
/** Most of a NAR that a cache sends where it ignores that only the first byte was asked for, in bytes. */
const NAR_PROBE_MAX_BYTES = 64 * 1024;

/** What can be wrong with a path in a cache, worst for a device first. */
export const PROBLEM_KINDS = [
  "differs",
  "missing",
  "unsigned",
  "untrusted",
  "nar_missing",
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

/** How to check. */
export interface PreflightOptions {
  readonly paths: readonly LocalPath[];
  /** Base URLs in normal form, without a trailing slash. */
  readonly caches: readonly string[];
  readonly keys: readonly CacheKey[];
  readonly signal: AbortSignal;
  readonly random: () => number;
  readonly nowMs: () => number;
  /** Told after each path. */
  readonly onPath?: (done: number, storePath: string) => void;
}

/** Asks every cache for every path. Problems are answers, not exceptions. */
export async function checkCaches(options: PreflightOptions): Promise<Preflight> {
  const caches = options.caches.map((href) => openCache(href, options));
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

/** Largest `nix-cache-info` in bytes; it has three lines. */
const CACHE_INFO_MAX_BYTES = 16 * 1024;

/**
 * Whether there is a binary cache for `/nix/store` at the URL: Nix itself gives up where `nix-cache-info` is missing.
 * @returns Null where there is, else a clause for people.
 */
export async function checkCacheInfo(
  href: string,
  options: Pick<PreflightOptions, "signal" | "random" | "nowMs">,
): Promise<string | null> {
  try {
    const answer = await openCache(href, options).ask({
      url: `${href}/nix-cache-info`,
      maxBytes: CACHE_INFO_MAX_BYTES,
    });
    if (answer?.status !== 200) {
      return `there is no binary cache, nix-cache-info answers ${answer?.status ?? "nothing"}`;
    }
    const storeDir = /^StoreDir: *(\S+)$/m.exec(text(answer.body))?.[1];
    if (storeDir === undefined) return "there is no binary cache, nix-cache-info has no StoreDir";
    return storeDir === "/nix/store" ? null : "it is a binary cache for another store directory than /nix/store";
  } catch (error) {
    if (options.signal.aborted) throw interrupted("checking the binary cache");
    if (error instanceof HttpError || error instanceof NarinfoError) return error.message;
    throw error;
  }
}

/** The names of the keys that sign a path in the caches: what to tell someone who gave no key. */
export async function signingKeyNames(
  storePath: string,
  options: Omit<PreflightOptions, "paths" | "keys">,
): Promise<readonly string[]> {
  const answers = await Promise.all(
    options.caches.map((href) => readNarinfo(openCache(href, options), storePath).catch(() => null)),
  );
  const names = answers.flatMap((answer) => answer !== null && "signatures" in answer ? answer.signatures : []);
  return [...new Set(names.map(({ keyName }) => keyName))].sort();
}

interface Cache {
  readonly href: string;
  /** Sends a request within the limits; retries what may pass. Null once the cache failed too often. */
  readonly ask: (request: Pick<HttpRequest, "url" | "method" | "headers" | "maxBytes">) => Promise<HttpAnswer | null>;
}

function openCache(
  href: string,
  { signal, random, nowMs }: Pick<PreflightOptions, "signal" | "random" | "nowMs">,
): Cache {
  const policy: RetryPolicy = { attempts: 4, baseMs: 250, maxMs: RETRY_MAX_MS, random };
  let failures = 0;
  return {
    href,
    ask: async (request) => {
      if (failures >= FAILURES_MAX) return null;
      try {
        const answer = await retrying(policy, async () => {
          try {
            // Redirects are followed, as Nix does: many caches keep their NARs elsewhere. No credentials are sent.
            const got = await send({ ...request, timeoutMs: TIMEOUT_MS, follow: true, signal });
            if (got.status !== 429 && got.status < 500) return { done: got };
            return { again: got, afterMs: parseRetryAfter(got.headers.get("retry-after"), nowMs()) ?? 0 };
          } catch (error) {
            if (!(error instanceof HttpError)) throw error;
            if (error.kind === "unreachable") return { again: error };
            throw error;
          }
        }, signal);
        if (answer.status === 429 || answer.status >= 500) failures += 1;
        return answer;
      } catch (error) {
        failures += 1;
        throw error;
      }
    },
  };
}

async function checkPath(cache: Cache, path: LocalPath, keys: readonly CacheKey[]): Promise<CachedPath | CacheProblem> {
  const problem = (kind: CacheProblem["kind"], reason: string): CacheProblem => ({
    kind,
    reason,
    storePath: path.storePath,
    cache: cache.href,
  });
  try {
    const narinfo = await readNarinfo(cache, path.storePath);
    if ("status" in narinfo) return statusProblem(problem, narinfo.status);
    const verdict = await judgeNarinfo(path, narinfo, keys);
    if ("kind" in verdict) return problem(verdict.kind, verdict.reason);
    const nar = await probeNar(cache, narinfo);
    if (nar !== null) return problem("nar_missing", nar);
    return { downloadSize: narinfo.fileSize ?? narinfo.narSize, keyName: verdict.keyName };
  } catch (error) {
    if (error instanceof HttpError) return problem("unanswered", error.message);
    if (error instanceof NarinfoError) return problem("damaged", error.message);
    throw error;
  }
}

function statusProblem(
  problem: (kind: CacheProblem["kind"], reason: string) => CacheProblem,
  status: number | null,
): CacheProblem {
  if (status === null) return problem("unanswered", `not asked, as the cache failed ${FAILURES_MAX} times before`);
  if (status === 404) return problem("missing", "it is not there (404)");
  if (status === 401 || status === 403) return problem("missing", `the cache denies access to it (${status})`);
  return problem("unanswered", `the cache answers ${status}`);
}

async function readNarinfo(cache: Cache, storePath: string): Promise<Narinfo | { status: number | null }> {
  const { hash } = parseStorePath(storePath);
  const answer = await cache.ask({ url: `${cache.href}/${hash}.narinfo`, maxBytes: NARINFO_MAX_BYTES });
  if (answer === null || answer.status !== 200) return { status: answer?.status ?? null };
  return parseNarinfo(text(answer.body));
}

function text(body: Bytes): string {
  try {
    return decodeUtf8(body);
  } catch {
    throw new NarinfoError("it is no narinfo");
  }
}

/**
 * Whether a narinfo is what the release signs: the same path with the same content and references as here, and signed
 * by a key that the release names, unless the path's own name proves its content.
 */
export async function judgeNarinfo(
  local: LocalPath,
  narinfo: Narinfo,
  keys: readonly CacheKey[],
): Promise<{ keyName: string | null } | Pick<CacheProblem, "kind" | "reason">> {
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

function unsignedProblem(narinfo: Narinfo, keys: readonly CacheKey[]): Pick<CacheProblem, "kind" | "reason"> {
  const names = [...new Set(narinfo.signatures.map(({ keyName }) => keyName))];
  if (names.length === 0) return { kind: "unsigned", reason: "it has no signature" };
  const named = names.filter((name) => keys.some((key) => key.name === name));
  return named.length > 0
    ? { kind: "untrusted", reason: `its signature by ${named.join(", ")} is not valid for the key given` }
    : { kind: "untrusted", reason: `it is signed by ${names.join(", ")} only` };
}

/** Null where the NAR is there and as long as announced, else what is wrong. */
async function probeNar(cache: Cache, narinfo: Narinfo): Promise<string | null> {
  const url = narUrl(cache.href, narinfo.url);
  const identity = { "accept-encoding": "identity" };
  const head = await cache.ask({ url, method: "HEAD", headers: identity, maxBytes: NAR_PROBE_MAX_BYTES });
  if (head?.status === 200) return lengthProblem(narinfo, head.headers.get("content-length"));
  if (head?.status === 404) return "its NAR is not there (404)";
  // Some caches answer only GET: ask for the first byte.
  const get = await firstByte(cache, url);
  if (get === "whole") return null;
  if (get?.status === 200 || get?.status === 206) return null;
  return get === null
    ? "its NAR was not asked for, as the cache failed before"
    : `its NAR is not there (${get.status})`;
}

/** Asks for the first byte; `whole` where the cache ignores that and begins to send everything. */
async function firstByte(cache: Cache, url: string): Promise<HttpAnswer | "whole" | null> {
  const headers = { "accept-encoding": "identity", range: "bytes=0-0" };
  try {
    return await cache.ask({ url, headers, maxBytes: NAR_PROBE_MAX_BYTES });
  } catch (error) {
    if (error instanceof HttpError && error.kind === "too_large") return "whole";
    throw error;
  }
}

function lengthProblem({ fileSize }: Narinfo, header: string | null): string | null {
  if (fileSize === null || header === null || Number(header) === fileSize) return null;
  return `its NAR has ${header} bytes where the narinfo says ${fileSize}`;
}
