/**
 * Whether a device may take a release on: every check of protocol 2.2, in its order, in one place.
 * @module
 */
import { digestOf } from "./base64.ts";
import type { Bytes } from "./canonical.ts";
import { type KeyPolicy, parseEnvelope, verifyEnvelope } from "./envelope.ts";
import { type ErrorCode, OtaError } from "./errors.ts";
import type { ReleaseRef } from "./names.ts";
import { parseRelease, type Release, type Target, targetFor } from "./release.ts";
import { formatTimestamp, parseTimestamp } from "./time.ts";

/** Whom and what a program trusts about a channel (protocol 1.4): pinned in its configuration, never taken from the network. */
export interface TrustPolicy extends KeyPolicy {
  readonly fleet: string;
  readonly channel: string;
}

/** A release whose signatures, form, fleet and channel are verified (protocol 2.2). */
export interface VerifiedRelease {
  readonly release: Release;
  /** `sha256:<hex>` of the payload bytes. */
  readonly digest: string;
  /** The very bytes that were verified. */
  readonly envelope: Bytes;
}

/** Which target of a release is the device's (protocol 2.1). */
export interface DeviceKind {
  readonly system: string;
  readonly variant: string;
}

/** What the device knows of the time (protocol 2.4). */
export interface TrustClock {
  /** System clock, milliseconds since 1970. */
  readonly systemMs: number;
  /** Whether the system clock was set from a time source since boot. */
  readonly synchronised: boolean;
  /** Latest time proved otherwise: the agent's build time and `issued` of everything verified. Milliseconds since 1970. */
  readonly floorMs: number;
}

/** The answer of {@link acceptRelease}. */
export type Acceptance =
  | {
    readonly kind: "accepted";
    readonly verified: VerifiedRelease;
    readonly target: Target;
    /** What to persist, with an fsync, before acting on the release. */
    readonly floor: ReleaseRef;
    /** Expired, while nothing has set the system clock since boot: taken on, and said (protocol 2.4). */
    readonly stale: boolean;
  }
  | { readonly kind: "refused"; readonly code: ErrorCode; readonly message: string };

/** The one root version known without root documents: the keys pinned in the configuration (protocol 3.1). */
export const PINNED_ROOT = 0;

/**
 * The checks of protocol 2.2 from size to channel: what publisher, server and device all run on a release.
 *
 * @throws {OtaError} With the code of the step that refused.
 */
export async function verifyRelease(envelope: Bytes, policy: TrustPolicy): Promise<VerifiedRelease> {
  const parsed = parseEnvelope(envelope);
  await verifyEnvelope(parsed, "release", policy);
  const release = parseRelease(parsed.payload);
  if (release.root !== PINNED_ROOT) {
    throw new OtaError(
      "root_unknown",
      `Cannot trust the release as it names the root document ${release.root}: known is ${PINNED_ROOT}`,
    );
  }
  mustEqual("fleet_mismatch", { what: "fleet", found: release.fleet, wanted: policy.fleet });
  mustEqual("channel_mismatch", { what: "channel", found: release.channel, wanted: policy.channel });
  return { release, digest: await digestOf(parsed.payload), envelope };
}

function mustEqual(code: ErrorCode, { what, found, wanted }: { what: string; found: string; wanted: string }): void {
  if (found === wanted) return;
  throw new OtaError(code, `Cannot take the release as it is for the ${what} "${found}": wanted "${wanted}"`);
}

/**
 * Checks a revision against the highest ever verified on the channel (protocol 2.2, 2.3): above it, or the same one
 * with the same content.
 *
 * @throws {OtaError} `revision_too_old` or `equivocation`.
 */
export function checkFloor(offered: ReleaseRef, floor: ReleaseRef | null): void {
  if (floor === null || offered.revision > floor.revision) return;
  if (offered.revision < floor.revision) {
    throw new OtaError(
      "revision_too_old",
      `Cannot take revision ${offered.revision} as revision ${floor.revision} was already verified on this channel ` +
        "(to go back on purpose, publish the old system under a new revision)",
      { extra: { highest: floor.revision } },
    );
  }
  if (offered.digest === floor.digest) return;
  throw new OtaError(
    "equivocation",
    `Cannot take revision ${offered.revision} as it was verified before with another content: ` +
      `${floor.digest}, now ${offered.digest} (someone signed two releases under one number)`,
  );
}

/**
 * Decides whether the device may act on a release: protocol 2.2, every step in its order. Pure: the caller persists
 * `floor` with an fsync before it acts.
 *
 * @param envelope The bytes as received; verified and used from this one buffer, which must not be changed meanwhile.
 * @param floor Highest release ever verified on the channel, or null.
 * @returns `accepted`, or `refused` with the code of the step that refused.
 * @throws {RangeError} Only where the caller is at fault: a threshold that the keys cannot meet or that is below 1, or a
 *   clock that is not a number. No bytes from outside can cause it.
 */
export async function acceptRelease({ envelope, policy, kind, floor, clock }: {
  envelope: Bytes;
  policy: TrustPolicy;
  kind: DeviceKind;
  floor: ReleaseRef | null;
  clock: TrustClock;
}): Promise<Acceptance> {
  try {
    const verified = await verifyRelease(envelope, policy);
    const { release, digest } = verified;
    const target = targetFor(release, kind);
    if (target === null) {
      throw new OtaError(
        "no_target",
        `Cannot take revision ${release.revision} as it has nothing for ${kind.system}, variant ${kind.variant}`,
      );
    }
    const offered = { revision: release.revision, digest };
    checkFloor(offered, floor);
    const stale = isExpired(release, clock);
    if (stale && clock.synchronised) {
      throw new OtaError(
        "release_expired",
        `Cannot take revision ${release.revision} as it expired at ${release.expires}: ` +
          `now is ${formatTimestamp(trustedNowMs(clock))} (publish a newer release)`,
      );
    }
    return { kind: "accepted", verified, target, floor: offered, stale };
  } catch (error) {
    if (error instanceof OtaError) return { kind: "refused", code: error.code, message: error.message };
    throw error;
  }
}

/**
 * The time to judge expiry by (protocol 2.4): the later of the system clock and what is proved. Milliseconds since 1970.
 * @throws {RangeError} If one of them is not a number: nothing would ever be expired.
 */
export function trustedNowMs(clock: TrustClock): number {
  const nowMs = Math.max(clock.systemMs, clock.floorMs);
  if (Number.isNaN(nowMs)) throw new RangeError("Cannot judge expiry as the clock is not a number");
  return nowMs;
}

function isExpired(release: Release, clock: TrustClock): boolean {
  return trustedNowMs(clock) >= (parseTimestamp(release.expires) ?? 0);
}
