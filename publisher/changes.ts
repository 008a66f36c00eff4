/**
 * What a release changes on a device that runs the current one.
 * @module
 */
import {
  type ClosureDifference,
  diffClosures,
  digestOf,
  formatBytes,
  type PackageChange,
  parseClosureListing,
  type Release,
  targetFor,
} from "@nix-ota/common";
import { type Api, readListing } from "./api.ts";
import type { CachedPath } from "./cache.ts";
import type { Context } from "./context.ts";
import type { PlannedTarget } from "./release_plan.ts";

/** The changes for one target. */
export interface TargetChanges {
  readonly system: string;
  readonly variant: string;
  /** Null where the current release has no such target, or the server no listing of it. */
  readonly difference: ClosureDifference | null;
  /** Bytes that a device on the current release downloads; everything where there is no difference. */
  readonly downloadSize: number;
}

/** Compares each target with the same target of the current release. */
export async function readChanges(
  api: Api,
  { targets, current, found }: {
    targets: readonly PlannedTarget[];
    current: Release | null;
    found: ReadonlyMap<string, CachedPath>;
  },
): Promise<readonly TargetChanges[]> {
  const changes: TargetChanges[] = [];
  for (const { variant, closure } of targets) {
    const difference = current === null ? null : await differenceFor(api, current, { variant, closure });
    const fetched = difference?.added ?? closure.paths;
    const downloadSize = fetched.reduce(
      (sum, { storePath, narSize }) => sum + (found.get(storePath)?.downloadSize ?? narSize),
      0,
    );
    changes.push({ system: closure.system, variant, difference, downloadSize });
  }
  return changes;
}

/** The difference, from a listing that the current release's signed digest proves. */
async function differenceFor(
  api: Api,
  current: Release,
  { variant, closure }: PlannedTarget,
): Promise<ClosureDifference | null> {
  const { channel, revision } = current;
  const target = targetFor(current, { system: closure.system, variant });
  if (target === null) return null;
  if (target.closure.digest === closure.summary.digest) return diffClosures(closure.paths, closure.paths);
  const listing = await readListing(api, { channel, revision, system: closure.system, variant });
  if (listing === null || await digestOf(listing) !== target.closure.digest) return null;
  return diffClosures(parseClosureListing(listing), closure.paths);
}

/** Most packages named on the screen; the rest is counted. */
const PACKAGES_SHOWN = 12;

/** Shows the changes of every target. */
export function showChanges({ ui }: Context, changes: readonly TargetChanges[]): void {
  for (const change of changes) {
    const title = changes.length > 1 ? `${change.variant} (${change.system}): ` : "";
    ui.step("info", "changes", `${title}${summarise(change)}`);
    const packages = change.difference?.packages ?? [];
    for (const line of packages.slice(0, PACKAGES_SHOWN)) ui.detail(formatPackageChange(line));
    if (packages.length > PACKAGES_SHOWN) ui.detail(`and ${packages.length - PACKAGES_SHOWN} more packages`);
  }
}

/** One sentence for a target. */
export function summarise({ difference, downloadSize }: TargetChanges): string {
  const download = `${formatBytes(downloadSize)} to download`;
  if (difference === null) return `nothing to compare with: ${download} for a device without any of it`;
  const { added, removed, packages, narGrowth } = difference;
  if (added.length === 0 && removed.length === 0) return "none: it is the system of the current release";
  const parts = [`${added.length} paths added, ${removed.length} removed`];
  const counts = countPackages(packages);
  if (counts !== "") parts.push(`packages: ${counts}`);
  const growth = narGrowth === 0
    ? "same size"
    : `${formatBytes(Math.abs(narGrowth))} ${narGrowth > 0 ? "larger" : "smaller"}`;
  return `${parts.join("; ")}; ${download} for a device on the current release, ${growth} unpacked`;
}

function countPackages(packages: readonly PackageChange[]): string {
  const words = { up: "newer", down: "older", changed: "changed", added: "added", removed: "removed" } as const;
  return (["up", "down", "changed", "added", "removed"] as const)
    .map((kind) => [packages.filter((one) => one.kind === kind).length, words[kind]] as const)
    .filter(([count]) => count > 0)
    .map(([count, word]) => `${count} ${word}`)
    .join(", ");
}

/** `openssl 3.0.13 -> 3.0.14`. */
export function formatPackageChange({ name, before, after }: PackageChange): string {
  if (before.length === 0) return `+ ${name} ${after.join(", ")}`;
  if (after.length === 0) return `- ${name} ${before.join(", ")}`;
  return `${name} ${before.join(", ")} -> ${after.join(", ")}`;
}
