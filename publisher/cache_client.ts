/**
 * Asking a binary cache, over HTTP, within limits.
 * @module
 */
import { type Bytes, decodeUtf8, parseRetryAfter, parseStorePath } from "@nix-ota/common";
import { type HttpAnswer, HttpError, type HttpRequest, send } from "./http.ts";
import { type Narinfo, NARINFO_MAX_BYTES, NarinfoError, narUrl, parseNarinfo } from "./narinfo.ts";
import { type Attempt, retrying, type RetryPolicy } from "./retry.ts";

/** Longest time for one request to a cache, in milliseconds. */
const TIMEOUT_MS = 20_000;
/** A cache that fails so often is not asked any more. */
export const FAILURES_MAX = 10;
/** Longest time that a cache can make us wait before a retry, in milliseconds. */
const RETRY_MAX_MS = 10_000;
/** Most of a NAR that is read where a cache ignores that only the first byte was asked for, in bytes. */
const NAR_PROBE_MAX_BYTES = 64 * 1024;
/** Largest `nix-cache-info` in bytes; it has three lines. */
const CACHE_INFO_MAX_BYTES = 16 * 1024;

/** A cache that can be asked. */
export interface Cache {
  /** Base URL without a trailing slash. */
  readonly href: string;
  /**
   * Sends a request, and again where the fault may pass. Null once the cache failed {@link FAILURES_MAX} times.
   * @throws {HttpError}
   */
  readonly ask: (request: CacheRequest) => Promise<HttpAnswer | null>;
}

type CacheRequest = Pick<HttpRequest, "url" | "method" | "headers" | "maxBytes">;

/** What asking needs of the world. */
export interface CacheLimits {
  readonly signal: AbortSignal;
  readonly random: () => number;
  /** Milliseconds since 1970. */
  readonly nowMs: () => number;
}

/** Opens a cache; nothing is sent yet. */
export function openCache(href: string, limits: CacheLimits): Cache {
  const policy: RetryPolicy = { attempts: 4, baseMs: 250, maxMs: RETRY_MAX_MS, random: limits.random };
  let failures = 0;
  return {
    href,
    ask: async (request) => {
      if (failures >= FAILURES_MAX) return null;
      try {
        const answer = await retrying(policy, () => askOnce(request, limits), limits.signal);
        if (isFailure(answer.status)) failures += 1;
        return answer;
      } catch (error) {
        failures += 1;
        throw error;
      }
    },
  };
}

/** Whether the status says that the cache fails, rather than what it has. */
export function isFailure(status: number): boolean {
  return status === 429 || status >= 500;
}

async function askOnce(request: CacheRequest, { signal, nowMs }: CacheLimits): Promise<Attempt<HttpAnswer>> {
  try {
    // Redirects are followed, as Nix does: many caches keep their NARs elsewhere. No credentials are sent.
    const answer = await send({ ...request, timeoutMs: TIMEOUT_MS, follow: true, signal });
    if (!isFailure(answer.status)) return { done: answer };
    return { again: answer, afterMs: parseRetryAfter(answer.headers.get("retry-after"), nowMs()) ?? 0 };
  } catch (error) {
    if (error instanceof HttpError && error.kind === "unreachable") return { again: error };
    throw error;
  }
}

/**
 * Whether there is a binary cache for `/nix/store` at the URL: Nix itself gives up where `nix-cache-info` is missing.
 * @returns Null where there is, else a clause for people.
 */
export async function checkCacheInfo({ href, ask }: Cache): Promise<string | null> {
  try {
    const answer = await ask({ url: `${href}/nix-cache-info`, maxBytes: CACHE_INFO_MAX_BYTES });
    if (answer?.status !== 200) {
      return `there is no binary cache, nix-cache-info answers ${answer?.status ?? "nothing"}`;
    }
    const storeDir = /^StoreDir: *(\S+)$/m.exec(decode(answer.body))?.[1];
    if (storeDir === undefined) return "there is no binary cache, nix-cache-info has no StoreDir";
    return storeDir === "/nix/store" ? null : "it is a binary cache for another store directory than /nix/store";
  } catch (error) {
    if (error instanceof HttpError || error instanceof NarinfoError) return error.message;
    throw error;
  }
}

/**
 * What the cache says of a path, or the status where that is not 200; null where the cache is not asked any more.
 * @throws {HttpError} Where no answer came.
 * @throws {NarinfoError} Where the answer is no narinfo.
 */
export async function readNarinfo(
  { href, ask }: Cache,
  storePath: string,
): Promise<Narinfo | { status: number | null }> {
  const { hash } = parseStorePath(storePath);
  const answer = await ask({ url: `${href}/${hash}.narinfo`, maxBytes: NARINFO_MAX_BYTES });
  if (answer === null || answer.status !== 200) return { status: answer?.status ?? null };
  return parseNarinfo(decode(answer.body));
}

function decode(body: Bytes): string {
  try {
    return decodeUtf8(body);
  } catch {
    throw new NarinfoError("it is no narinfo");
  }
}

/** What a look at a NAR, without fetching it, came to. `length` is null where the cache does not say. */
export type NarProbe = { readonly kind: "there"; readonly length: number | null } | {
  readonly kind: "not_there";
  /** Null where the cache is not asked any more. */
  readonly status: number | null;
};

/** Looks whether a NAR is there. @throws {HttpError} Where no answer came. */
export async function probeNar(cache: Cache, { url }: Narinfo): Promise<NarProbe> {
  const request = { url: narUrl(cache.href, url), headers: { "accept-encoding": "identity" } };
  const head = await cache.ask({ ...request, method: "HEAD", maxBytes: NAR_PROBE_MAX_BYTES });
  if (head?.status === 200) {
    const length = head.headers.get("content-length");
    return { kind: "there", length: length === null ? null : Number(length) };
  }
  if (head === null || head.status === 404 || isFailure(head.status)) {
    return { kind: "not_there", status: head?.status ?? null };
  }
  return await probeByte(cache, request); // Some caches answer only GET.
}

/** Asks for the first byte; a cache that ignores that and begins to send everything has the NAR all the same. */
async function probeByte(cache: Cache, request: Pick<HttpRequest, "url" | "headers">): Promise<NarProbe> {
  try {
    const headers = { ...request.headers, range: "bytes=0-0" };
    const answer = await cache.ask({ ...request, headers, maxBytes: NAR_PROBE_MAX_BYTES });
    if (answer?.status === 200 || answer?.status === 206) return { kind: "there", length: null };
    return { kind: "not_there", status: answer?.status ?? null };
  } catch (error) {
    if (error instanceof HttpError && error.kind === "too_large") return { kind: "there", length: null };
    throw error;
  }
}
