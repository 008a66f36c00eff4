/**
 * Verified releases on disk: what a transaction is resumed from, verified again each time it is read.
 * @module
 */
import {
  type Acceptance,
  acceptRelease,
  type Bytes,
  ENVELOPE_MAX_BYTES,
  parseTimestamp,
  type ReleaseRef,
  type Target,
  type TrustClock,
  type VerifiedRelease,
  verifyRelease,
} from "@nix-ota/common";
import { writeDurably } from "./atomic_file.ts";
import { trustPolicyOf } from "./config.ts";
import type { Context } from "./context.ts";
import type { Deployment } from "./state.ts";

/** A release that passed every check of protocol 2.2. */
export type Accepted = Extract<Acceptance, { kind: "accepted" }>;

/** Checks a release for this device: protocol 2.2. */
export function acceptForDevice(
  { config }: Pick<Context, "config">,
  { envelope, floor, clock }: { envelope: Bytes; floor: ReleaseRef | null; clock: TrustClock },
): Promise<Acceptance> {
  return acceptRelease({ envelope, policy: trustPolicyOf(config), kind: config, floor, clock });
}

/** The release as the agent works on it. */
export function deploymentOf({ verified, target }: { verified: VerifiedRelease; target: Target }): Deployment {
  const { release, digest } = verified;
  return {
    channel: release.channel,
    revision: release.revision,
    digest,
    storePath: target.storePath,
    mode: release.apply.mode,
    healthSeconds: release.apply.healthSeconds,
  };
}

/** When a release was signed, by its own word, milliseconds since 1970. */
export function issuedMsOf({ release }: VerifiedRelease): number {
  return parseTimestamp(release.issued) ?? 0;
}

/** Keeps a verified release; durable when it returns. */
export async function storeRelease({ system, paths }: Context, verified: VerifiedRelease): Promise<void> {
  const path = paths.release(verified.digest);
  if (await system.files.stat(path) !== null) await system.files.remove(path); // Perhaps torn: written anew.
  await writeDurably(system.files, { path, content: verified.envelope, mode: 0o600 });
}

/**
 * Reads a stored release and verifies it again, all but its age in the channel: it was accepted before.
 * @throws {Error} Where it is gone, or is not the deployment's any more, such as under another configuration.
 */
export async function loadRelease(context: Context, deployment: Deployment, clock: TrustClock): Promise<Accepted> {
  const { digest, revision, storePath } = deployment;
  const envelope = await context.system.files.read(context.paths.release(digest), ENVELOPE_MAX_BYTES);
  if (envelope === null) throw new Error(`Cannot go on with revision ${revision} as its stored release is gone`);
  const acceptance = await acceptForDevice(context, { envelope, floor: { revision, digest }, clock });
  if (acceptance.kind === "refused") throw new RefusedReleaseError(acceptance.code, acceptance.message);
  if (acceptance.verified.digest !== digest || acceptance.target.storePath !== storePath) {
    throw new Error(`Cannot go on with revision ${revision} as its stored release is another one`);
  }
  return acceptance;
}

/** A stored release that would not be accepted any more. */
export class RefusedReleaseError extends Error {
  override readonly name: string = "RefusedReleaseError";
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/**
 * The highest stored release of the configured channel: where the floor comes from when the journal is lost. Only what
 * verifies counts, so a file that was put there proves nothing it could not prove by itself.
 */
export async function highestStored(context: Context): Promise<VerifiedRelease | null> {
  const { system, paths, config } = context;
  let highest: VerifiedRelease | null = null;
  for (const name of await system.files.list(paths.releasesDir)) {
    const verified = await readVerified(`${paths.releasesDir}/${name}`);
    if (verified === null) continue;
    if (highest === null || verified.release.revision > highest.release.revision) highest = verified;
  }
  return highest;

  async function readVerified(path: string): Promise<VerifiedRelease | null> {
    try {
      const envelope = await system.files.read(path, ENVELOPE_MAX_BYTES);
      return envelope === null ? null : await verifyRelease(envelope, trustPolicyOf(config));
    } catch {
      return null; // Torn, of another channel, or not a release.
    }
  }
}

/** Forgets stored releases that nothing refers to. */
export async function forgetReleases({ system, paths }: Context, kept: ReadonlySet<string>): Promise<void> {
  const names = new Set([...kept].map((digest) => paths.release(digest)));
  for (const name of await system.files.list(paths.releasesDir)) {
    const path = `${paths.releasesDir}/${name}`;
    if (!names.has(path)) await system.files.remove(path);
  }
}
