/**
 * Where closures come from: substituter URLs and the keys that sign what a cache serves.
 * @module
 */
import { parseBase64 } from "./base64.ts";
import type { Bytes } from "./canonical.ts";
import { isStrictPoint, PUBLIC_KEY_BYTES } from "./ed25519.ts";
import { array, type Infer, record, SchemaError, show } from "./schema.ts";

/** A substituter URL that cannot weaken Nix (protocol 2.1). */
export interface SubstituterUrl {
  /** Normal form, without a trailing slash: the only form that is signed and given to Nix. */
  readonly href: string;
  readonly protocol: "https:" | "http:";
  readonly hostname: string;
}

/** Longest substituter URL in UTF-16 code units (protocol 2.1). */
export const SUBSTITUTER_URL_MAX = 512;

/** What an error may show of a refused URL: user, password and query are left out, for they are often secrets. */
function withoutSecrets(text: string): string {
  if (text.includes("@")) return `${/^[a-z]{1,8}:\/\//i.exec(text)?.[0] ?? ""}…`;
  const query = text.search(/[?#]/);
  return query < 0 ? text : `${text.slice(0, query + 1)}…`;
}

function refuse(text: string, problem: string): never {
  throw new TypeError(`Cannot use the substituter ${show(withoutSecrets(text))}: ${problem}`);
}

/** Labels of letters, digits, dashes and underscores that neither begin nor end with a dash; or an IPv6 address. */
const HOST_PATTERN =
  /^(?:[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*|\[[0-9a-f:.]+\])$/;
/** Longest host name in characters (RFC 1035 section 2.3.4). */
const HOST_MAX = 253;

/**
 * Reads a substituter URL (protocol 2.1). Nix reads settings out of a store URL, and `?trusted=1` would turn its
 * signature check off, so a query is refused, and with it user names, fragments, blanks, quotes, percent signs and
 * every scheme but https and http (http is for the caller to allow: it hides nothing and stops nobody on the way).
 *
 * Host and path are put in the normal form of the WHATWG URL standard; reading `href` again gives the same `href`.
 *
 * @param text At most {@link SUBSTITUTER_URL_MAX} UTF-16 code units.
 * @throws {TypeError} Saying what was wrong; user, password and query are not quoted.
 */
export function parseSubstituterUrl(text: string): SubstituterUrl {
  if (text.length > SUBSTITUTER_URL_MAX) refuse(text, `wanted at most ${SUBSTITUTER_URL_MAX} characters`);
  if (!/^[\x21-\x7e]+$/.test(text)) refuse(text, "wanted no blanks and only ASCII characters");
  if (/["'`<>\\^{}|%?#@,;$]/.test(text)) {
    refuse(text, "wanted no user name, query (?), fragment (#), percent sign, quote, comma or semicolon");
  }
  const url = URL.parse(text) ?? refuse(text, "wanted a URL such as https://cache.example.org");
  if (url.protocol !== "https:" && url.protocol !== "http:") refuse(text, "wanted the scheme https (or http)");
  if (!/^\/\/[^/]/.test(text.slice(url.protocol.length))) refuse(text, "wanted // and a host after the scheme");
  if (!HOST_PATTERN.test(url.hostname) || url.hostname.length > HOST_MAX) {
    refuse(text, "wanted a plain host name or address");
  }
  if (url.port === "0") refuse(text, "wanted a port from 1 to 65535");
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
 * Reads `name:base64` (protocol 2.1), the form of Nix's `trusted-public-keys`, name at most 128 characters. The text is not quoted in errors: a secret key has
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
    `must be a substituter URL in normal form such as "https://cache.example.org", found ${
      show(typeof value === "string" ? withoutSecrets(value) : value)
    }`,
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
export type Substituter = Infer<typeof Substituter>;
/** Reads one substituter of a release (protocol 2.1): a URL in normal form and 1 to 4 keys. */
export const Substituter = record({
  url: SubstituterHref,
  keys: array(CacheKeyText, { min: 1, max: 4 }),
});
