/**
 * Where closures come from: substituter URLs and the keys that sign what a cache serves.
 * @module
 */
import { parseBase64 } from "./base64.ts";
import type { Bytes } from "./canonical.ts";
import { isStrictPoint, PUBLIC_KEY_BYTES } from "./ed25519.ts";
import { array, type Parser, record, SchemaError, show } from "./schema.ts";

/** A substituter URL that cannot weaken Nix. */
export interface SubstituterUrl {
  /** Normal form, without a trailing slash: the only form that is signed and given to Nix. */
  readonly href: string;
  readonly protocol: "https:" | "http:";
  readonly hostname: string;
}

/** Longest substituter URL in UTF-16 code units. */
export const SUBSTITUTER_URL_MAX = 512;

function refuse(text: string, problem: string): never {
  throw new TypeError(`Cannot use the substituter ${show(text)}: ${problem}`);
}

/**
 * Reads a substituter URL (protocol 2.1). Nix reads settings out of a store URL, and `?trusted=1` would turn its
 * signature check off, so a query is refused, and with it user names, fragments, blanks, quotes, percent signs and
 * every scheme but https and http (http is for the caller to allow: it hides nothing and stops nobody on the way).
 *
 * @throws {TypeError} Saying what was wrong.
 */
export function parseSubstituterUrl(text: string): SubstituterUrl {
  if (text.length > SUBSTITUTER_URL_MAX) refuse(text, `wanted at most ${SUBSTITUTER_URL_MAX} characters`);
  if (!/^[\x21-\x7e]+$/.test(text)) refuse(text, "wanted no blanks and only ASCII characters");
  if (/["'`<>\\^{}|%?#@,;$]/.test(text)) {
    refuse(text, "wanted no user name, query (?), fragment (#), percent sign, quote, comma or semicolon");
  }
  const url = URL.parse(text) ?? refuse(text, "wanted a URL such as https://cache.example.org");
  if (url.protocol !== "https:" && url.protocol !== "http:") refuse(text, "wanted the scheme https (or http)");
  if (!text.slice(url.protocol.length).startsWith("//")) refuse(text, "wanted // after the scheme");
  if (!/^(?:[a-z0-9_](?:[a-z0-9._-]*[a-z0-9])?|\[[0-9a-f:.]+\])$/.test(url.hostname)) {
    refuse(text, "wanted a plain host name or address");
  }
  if (!/^[A-Za-z0-9._~+/=:-]*$/.test(url.pathname) || url.pathname.includes("//")) {
    refuse(text, "wanted a path of A-Za-z0-9 and ._~+=:-/ without empty parts");
  }
  const href = `${url.protocol}//${url.host}${url.pathname}`.replace(/\/$/, "");
  return { href, protocol: url.protocol, hostname: url.hostname };
}

/** A public key of a binary cache. */
export interface CacheKey {
  readonly name: string;
  /** The raw 32 bytes. */
  readonly bytes: Bytes;
  /** `name:base64`, as Nix's `trusted-public-keys` has it. */
  readonly text: string;
}

/**
 * Reads `name:base64`, the form of Nix's `trusted-public-keys`. The text is not quoted in errors: a secret key has
 * the same form.
 * @throws {TypeError} Saying what was wrong.
 */
export function parseCacheKey(text: string): CacheKey {
  const [, name = "", encoded = ""] = /^([A-Za-z0-9._-]{1,128}):([A-Za-z0-9+/]{1,128}={0,2})$/.exec(text) ?? [];
  const bytes = parseBase64(encoded);
  if (name !== "" && bytes?.length === 64) {
    throw new TypeError(`Cannot use the cache key "${name}" as it is a secret key (nix key convert-secret-to-public)`);
  }
  if (bytes?.length !== PUBLIC_KEY_BYTES) {
    throw new TypeError("Cannot read the cache key: wanted name:base64 as in Nix's trusted-public-keys");
  }
  if (!isStrictPoint(bytes)) {
    throw new TypeError(`Cannot use the cache key "${name}" as it is not a safe Ed25519 point`);
  }
  return { name, bytes, text };
}

/** A substituter URL of a signed document: http or https, already in normal form. */
function SubstituterHref(value: unknown, at: string): string {
  if (typeof value === "string") {
    try {
      if (parseSubstituterUrl(value).href === value) return value;
    } catch {
      // Falls through to the error that names the place.
    }
  }
  throw new SchemaError(
    at,
    `must be a substituter URL in normal form such as "https://cache.example.org", found ${show(value)}`,
  );
}

function CacheKeyText(value: unknown, at: string): string {
  if (typeof value === "string") {
    try {
      return parseCacheKey(value).text;
    } catch {
      // Falls through to the error that names the place.
    }
  }
  throw new SchemaError(at, "must be a cache key as name:base64");
}

/** A cache to fetch from and the keys whose signatures count for it. */
export interface Substituter {
  readonly url: string;
  readonly keys: readonly string[];
}

/** Reads one substituter of a release (protocol 2.1): 1 to 4 keys. */
export const Substituter: Parser<Substituter> = record({
  url: SubstituterHref,
  keys: array(CacheKeyText, { min: 1, max: 4 }),
});
