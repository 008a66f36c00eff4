/**
 * Closures that look like Nix's, made of names.
 * @module
 */
import { encodeUtf8, formatHex, sha256 } from "@nix-ota/common";
import { formatNix32, formatSri } from "../nix32.ts";
import type { LocalPath } from "../path_info.ts";

/** What a path is made of; everything else follows from the name. */
export interface PathSpec {
  readonly name: string;
  readonly narSize?: number;
  /** Names of other paths of the closure. */
  readonly references?: readonly string[];
}

/** The store path that a name has in every test. */
export async function storePathOf(name: string): Promise<string> {
  return `/nix/store/${formatNix32((await sha256(encodeUtf8(name))).slice(0, 20))}-${name}`;
}

/** The paths of a closure; the first one is the system. */
export async function makeClosure(specs: readonly PathSpec[]): Promise<readonly LocalPath[]> {
  return await Promise.all(specs.map(async ({ name, narSize = 1000, references = [] }) => ({
    storePath: await storePathOf(name),
    narHash: formatSri(await sha256(encodeUtf8(`nar of ${name}`))),
    narSize,
    references: (await Promise.all(references.map(storePathOf))).sort(),
  })));
}

/** A small system with a library and two packages; `version` changes some of them. */
export function makeSystem(version: number): Promise<readonly LocalPath[]> {
  const [openssl, app, etc] = [`openssl-3.0.${12 + version}`, `app-1.${version}`, `etc-${version}`];
  const system = `nixos-system-fridge-24.11.${version}`;
  return makeClosure([
    { name: system, narSize: 8_816, references: [system, openssl, app, etc] },
    { name: "glibc-2.40-66", narSize: 20_000_000 },
    { name: openssl, narSize: 5_000_000, references: ["glibc-2.40-66", openssl] },
    { name: app, narSize: 700_000, references: ["glibc-2.40-66"] },
    { name: etc, narSize: 600 },
  ]);
}

/** What `nix path-info --json -r` prints of them, in the form of Nix 2.19 and later. */
export function pathInfoJson(paths: readonly LocalPath[]): string {
  return JSON.stringify(Object.fromEntries(
    paths.map(({ storePath, narHash, narSize, references }) => [
      storePath,
      { ca: null, deriver: null, narHash, narSize, references, registrationTime: 1, signatures: [], ultimate: true },
    ]),
  ));
}

/** Name of the NAR of a path in the caches of the tests. */
export async function narNameOf(path: LocalPath): Promise<string> {
  return `nar/${formatHex(await sha256(encodeUtf8(path.storePath)))}.nar.zst`;
}
