/**
 * What changes from one closure to the next: paths, packages, sizes.
 * @module
 */
import type { ClosurePath } from "./closure.ts";
import { parsePackageName, parseStorePath } from "./store_path.ts";

/** How a package changed. `changed` is the same newest version among other ones. */
export const PACKAGE_CHANGES = ["up", "down", "changed", "added", "removed"] as const;

/** A package that is not the same in both closures. */
export interface PackageChange {
  readonly name: string;
  readonly kind: typeof PACKAGE_CHANGES[number];
  /** Versions in the closure before, oldest first; empty where it was not there. */
  readonly before: readonly string[];
  /** Versions in the closure after, oldest first; empty where it is gone. */
  readonly after: readonly string[];
}

/** The difference between two closures. */
export interface ClosureDifference {
  readonly added: readonly ClosurePath[];
  readonly removed: readonly ClosurePath[];
  /** Packages with a version in their name, by name. */
  readonly packages: readonly PackageChange[];
  /** Unpacked size after, less the size before, in bytes. */
  readonly narGrowth: number;
}

/** Compares two closures (protocol 5.3). A path with the same name but another NAR hash counts as added and removed. */
export function diffClosures(before: readonly ClosurePath[], after: readonly ClosurePath[]): ClosureDifference {
  const without = (paths: readonly ClosurePath[], others: readonly ClosurePath[]): readonly ClosurePath[] => {
    const known = new Map(others.map(({ storePath, narHash }) => [storePath, narHash]));
    return paths.filter(({ storePath, narHash }) => known.get(storePath) !== narHash);
  };
  const sizeOf = (paths: readonly ClosurePath[]): number => paths.reduce((sum, { narSize }) => sum + narSize, 0);
  return {
    added: without(after, before),
    removed: without(before, after),
    packages: diffPackages(before, after),
    narGrowth: sizeOf(after) - sizeOf(before),
  };
}

function diffPackages(before: readonly ClosurePath[], after: readonly ClosurePath[]): readonly PackageChange[] {
  const old = versionsByName(before);
  const now = versionsByName(after);
  const names = [...new Set([...old.keys(), ...now.keys()])].sort();
  return names.flatMap((name) => {
    const versions = { before: old.get(name) ?? [], after: now.get(name) ?? [] };
    if (versions.before.join(" ") === versions.after.join(" ")) return [];
    return [{ name, kind: kindOf(versions), ...versions }];
  });
}

function kindOf({ before, after }: { before: readonly string[]; after: readonly string[] }): PackageChange["kind"] {
  const [old, now] = [before.at(-1), after.at(-1)];
  if (old === undefined) return "added";
  if (now === undefined) return "removed";
  const order = compareVersions(old, now);
  return order < 0 ? "up" : order > 0 ? "down" : "changed";
}

/** The names that Nixpkgs gives to the outputs of one package; they follow the version in a store path's name. */
const OUTPUT = /-(?:bin|dev|devdoc|doc|debug|info|lib|man|out|static|data|terminfo|dist|python|modules|getent)$/;

function versionsByName(paths: readonly ClosurePath[]): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, Set<string>>();
  for (const { storePath } of paths) {
    const { name, version } = parsePackageName(parseStorePath(storePath).name.replace(OUTPUT, ""));
    if (version === "") continue;
    const versions = found.get(name) ?? new Set();
    found.set(name, versions.add(version));
  }
  return new Map([...found].map(([name, versions]) => [name, [...versions].sort(compareVersions)]));
}

/**
 * Orders versions as Nix does (`builtins.compareVersions`): numbers by value, `pre` before everything, `2.3a` before
 * `2.3.1`.
 * @returns Negative where `a` is older than `b`, positive where it is newer.
 */
export function compareVersions(a: string, b: string): number {
  const left = components(a);
  const right = components(b);
  for (let at = 0; at < Math.max(left.length, right.length); at++) {
    const [x, y] = [left[at] ?? "", right[at] ?? ""];
    if (isOlder(x, y)) return -1;
    if (isOlder(y, x)) return 1;
  }
  return 0;
}

function components(version: string): readonly string[] {
  return version.match(/\d+|[^\d.-]+/g) ?? [];
}

function isNumber(component: string): boolean {
  return /^\d+$/.test(component);
}

function isOlder(a: string, b: string): boolean {
  if (isNumber(a) && isNumber(b)) return BigInt(a) < BigInt(b);
  if (a === "" && isNumber(b)) return true;
  if (a === "pre" && b !== "pre") return true;
  if (b === "pre") return false;
  if (isNumber(b)) return true;
  if (isNumber(a)) return false;
  return a < b;
}
