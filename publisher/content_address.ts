/**
 * Content-addressed paths prove themselves: their name is computed from their content, so no signature is needed.
 * @module
 */
import { type Bytes, encodeUtf8, formatHex, parseStorePath, sha256 } from "@nix-ota/common";
import { formatNix32, parseNix32 } from "./nix32.ts";
import type { Narinfo } from "./narinfo.ts";

/** Bytes of the hash in a store path's name. */
const PATH_HASH_BYTES = 20;
/** Bytes of the hashes that Nix knows. */
const HASH_BYTES: Readonly<Record<string, number>> = { md5: 16, sha1: 20, sha256: 32, sha512: 64 };

/**
 * Whether the path's name is the one that its content address gives (NixOS/nix `ValidPathInfo::isContentAddressed`,
 * doc/manual "Store path calculation"). A cache may claim any content address; only one that fits counts for Nix.
 */
export async function isContentAddressed({ storePath, references, ca, narHash }: Narinfo): Promise<boolean> {
  if (ca === null) return false;
  const { name } = parseStorePath(storePath);
  const computed = await computePath({ name, storePath, references, ca });
  if (computed !== storePath) return false;
  // With a flat NAR hash as the address, the address and the NAR hash are one and must agree.
  const [, digits = ""] = /^fixed:r:sha256:(.*)$/.exec(ca) ?? [];
  return digits === "" || references.includes(storePath) || narHash === sri(digits);
}

function sri(digits: string): string {
  const bytes = parseNix32(digits, 32);
  return bytes ? `sha256-${btoa(String.fromCharCode(...bytes))}` : "";
}

async function computePath(
  { name, storePath, references, ca }: { name: string; storePath: string; references: readonly string[]; ca: string },
): Promise<string | null> {
  const others = references.filter((path) => path !== storePath);
  const self = references.includes(storePath) ? ":self" : "";
  const [, text] = /^text:sha256:(.+)$/.exec(ca) ?? [];
  if (text !== undefined) {
    const hash = parseNix32(text, 32);
    return hash && self === ""
      ? await makePath(["text", ...others].join(":"), `sha256:${formatHex(hash)}`, name)
      : null;
  }
  const [, method = "", algorithm = "", digits = ""] = /^fixed:(r:|git:|)([a-z0-9]+):(.+)$/.exec(ca) ?? [];
  const hash = parseNix32(digits, HASH_BYTES[algorithm] ?? -1);
  if (!hash) return null;
  if (method === "r:" && algorithm === "sha256") {
    return await makePath(["source", ...others].join(":") + self, `sha256:${formatHex(hash)}`, name);
  }
  if (references.length > 0) return null;
  const inner = await sha256(encodeUtf8(`fixed:out:${method}${algorithm}:${formatHex(hash)}:`));
  return await makePath("output:out", `sha256:${formatHex(inner)}`, name);
}

async function makePath(type: string, innerDigest: string, name: string): Promise<string> {
  const digest = await sha256(encodeUtf8(`${type}:${innerDigest}:/nix/store:${name}`));
  return `/nix/store/${formatNix32(compress(digest))}-${name}`;
}

/** Folds a hash to the length that store paths have, by exclusive or. */
function compress(digest: Bytes): Bytes {
  const out = new Uint8Array(PATH_HASH_BYTES);
  digest.forEach((byte, at) => out[at % PATH_HASH_BYTES] = (out[at % PATH_HASH_BYTES] ?? 0) ^ byte);
  return out;
}
