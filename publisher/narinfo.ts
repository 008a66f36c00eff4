/**
 * What a binary cache says of one path: the `.narinfo` file, and what its signatures cover.
 * @module
 */
import { type Bytes, encodeUtf8, parseBase64, parseStorePath } from "@nix-ota/common";
import { formatNix32, formatSri, parseSha256 } from "./nix32.ts";

/** Largest narinfo in bytes; references of 1,000 paths are some 60 KiB. */
export const NARINFO_MAX_BYTES = 512 * 1024;
/** Most signatures in a narinfo. */
const SIGNATURES_MAX = 64;

/** A narinfo that cannot be used; the message is a clause such as "its narinfo has no URL". */
export class NarinfoError extends Error {
  override readonly name: string = "NarinfoError";
}

/** One signature of a narinfo. */
export interface NarinfoSignature {
  /** Name of the key; a label, it proves nothing. */
  readonly keyName: string;
  /** 64 bytes. */
  readonly sig: Bytes;
}

/** A parsed narinfo; nothing in it is trusted yet. */
export interface Narinfo {
  readonly storePath: string;
  /** Where the NAR is: relative to the cache, or an absolute http(s) URL. */
  readonly url: string;
  /** `sha256-<base64>`. */
  readonly narHash: string;
  /** Bytes unpacked. */
  readonly narSize: number;
  /** Bytes to download, or null where the cache does not say. */
  readonly fileSize: number | null;
  /** Full store paths, sorted. */
  readonly references: readonly string[];
  readonly signatures: readonly NarinfoSignature[];
  /** Content address as Nix prints it, or null. */
  readonly ca: string | null;
}

/**
 * Reads a narinfo (NixOS/nix src/libstore/nar-info.cc): lines `Key: value`; unknown keys are ignored, of repeated ones
 * only `Sig` may be.
 *
 * @throws {NarinfoError} With a clause that says what is wrong.
 */
export function parseNarinfo(text: string): Narinfo {
  const fields = new Map<string, string>();
  const signatures: NarinfoSignature[] = [];
  for (const line of text.split("\n")) {
    if (line === "") continue;
    const [, key = "", value = ""] = /^([A-Za-z]+): ?(.*)$/.exec(line) ?? [];
    if (key === "") throw new NarinfoError("it is no narinfo");
    if (key === "Sig") signatures.push(parseSignature(value));
    else if (fields.has(key)) throw new NarinfoError(`its narinfo has ${key} twice`);
    else fields.set(key, value);
  }
  if (signatures.length > SIGNATURES_MAX) {
    throw new NarinfoError(`its narinfo has more than ${SIGNATURES_MAX} signatures`);
  }
  const narHash = parseSha256(need(fields, "NarHash"));
  if (!narHash) throw new NarinfoError("its narinfo has a NarHash that is no SHA-256");
  const fileSize = fields.get("FileSize");
  return {
    storePath: need(fields, "StorePath"),
    url: need(fields, "URL"),
    narHash: formatSri(narHash),
    narSize: size("NarSize", need(fields, "NarSize")),
    fileSize: fileSize === undefined ? null : size("FileSize", fileSize),
    references: (fields.get("References") ?? "").split(" ").filter((name) => name !== "").map(reference).sort(),
    signatures,
    ca: fields.get("CA") || null,
  };
}

function need(fields: ReadonlyMap<string, string>, key: string): string {
  const value = fields.get(key);
  if (value === undefined || value === "") throw new NarinfoError(`its narinfo has no ${key}`);
  return value;
}

function size(key: string, text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new NarinfoError(`its narinfo has a ${key} that is no number`);
  return Number(text);
}

function reference(name: string): string {
  try {
    return parseStorePath(`/nix/store/${name}`).path;
  } catch {
    throw new NarinfoError("its narinfo has a reference that is no store path");
  }
}

function parseSignature(text: string): NarinfoSignature {
  const colon = text.indexOf(":");
  const sig = parseBase64(text.slice(colon + 1));
  if (colon < 1 || sig?.length !== 64) throw new NarinfoError("its narinfo has a damaged signature");
  return { keyName: text.slice(0, colon), sig };
}

/**
 * The bytes that a cache key signs: `1;path;sha256:<base 32>;size;references` (NixOS/nix src/libstore/path-info.cc,
 * `ValidPathInfo::fingerprint`).
 */
export function fingerprintOfPath(
  { storePath, narHash, narSize, references }: Pick<Narinfo, "storePath" | "narHash" | "narSize" | "references">,
): Bytes {
  const hash = parseSha256(narHash);
  if (!hash) throw new NarinfoError("its NAR hash is no SHA-256");
  const sorted = [...references].sort();
  return encodeUtf8(`1;${storePath};sha256:${formatNix32(hash)};${narSize};${sorted.join(",")}`);
}

/** Absolute URL of the NAR; the file name may hold a query, as Nix's own caches write. */
export function narUrl(cacheHref: string, url: string): string {
  return /^https?:\/\//.test(url) ? url : `${cacheHref}/${url}`;
}
