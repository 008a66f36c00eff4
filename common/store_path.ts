/**
 * Nix store paths.
 * @module
 */
import { show } from "./schema.ts";

/** A store path and its two parts. */
export interface StorePathParts {
  /** The whole path, such as `/nix/store/<hash>-<name>`. */
  readonly path: string;
  /** 32 characters of Nix's base 32. */
  readonly hash: string;
  readonly name: string;
}

/**
 * The alphabet of Nix's base 32 has no e, o, u, t; names have at most 211 characters and are not `.`, `..` nor begin
 * with these and a dash (NixOS/nix src/libstore/path.cc). The dash is escaped: `+-.` would be a range with a comma in it.
 */
const STORE_PATH_PATTERN =
  /^\/nix\/store\/([0-9abcdfghijklmnpqrsvwxyz]{32})-((?!\.{1,2}(?:-|$))[0-9A-Za-z+\-._?=]{1,211})$/;

/**
 * Reads a store path of `/nix/store` (protocol 2.1), name at most 211 characters, nothing behind it. Derivations are
 * refused: nothing here may ask a device to build.
 * @throws {TypeError} Where it is not one.
 */
export function parseStorePath(text: string): StorePathParts {
  const [path, hash, name] = STORE_PATH_PATTERN.exec(text) ?? [];
  if (path === undefined || hash === undefined || name === undefined) {
    throw new TypeError(`Cannot read ${show(text)} as a store path: wanted such as /nix/store/<32 characters>-<name>`);
  }
  if (name.endsWith(".drv")) {
    throw new TypeError(
      `Cannot use the store path ${show(text)} as it is a derivation (give its output, as nix build prints)`,
    );
  }
  return { path, hash, name };
}

/** A package as the name of a store path tells it. */
export interface PackageName {
  readonly name: string;
  /** Empty where the path's name has no version. */
  readonly version: string;
}

/** Splits `openssl-3.0.14` as Nix's `parseDrvName` does: at the first dash that something else than a letter follows. */
export function parsePackageName(storeName: string): PackageName {
  const at = storeName.search(/-[^A-Za-z]/);
  if (at < 0) return { name: storeName, version: "" };
  return { name: storeName.slice(0, at), version: storeName.slice(at + 1) };
}
