/**
 * Which release to sign next: a pure decision from the closures, the options and the release that is current.
 * @module
 */
import {
  type ApplyMode,
  digestOf,
  formatEnvelope,
  formatRelease,
  formatTimestamp,
  OtaError,
  parseEnvelope,
  PINNED_ROOT,
  type PublicKey,
  type Release,
  SchemaError,
  signEnvelope,
  type Signer,
  type Substituter,
  type VerifiedRelease,
  verifyRelease,
} from "@nix-ota/common";
import type { Bytes } from "@nix-ota/common";
import { encodeUtf8 } from "@nix-ota/common";
import type { Closure } from "./closure.ts";
import { CliError, EXIT, usageError } from "./errors.ts";

/** A closure and the variant it is for. */
export interface PlannedTarget {
  readonly variant: string;
  readonly closure: Closure;
}

/** What the operator decided. */
export interface ReleaseChoices {
  readonly fleet: string;
  readonly channel: string;
  readonly substituters: readonly Substituter[];
  readonly mode: ApplyMode;
  readonly healthSeconds: number;
  readonly expiresSeconds: number;
  readonly notes: string;
  /** The revision that was asked for, or null for the next one. */
  readonly revision: number | null;
}

/** The release that follows `current`. @throws {CliError} Where the wanted revision is not above the current one. */
export function planRelease(
  { choices, targets, current, nowMs }: {
    choices: ReleaseChoices;
    targets: readonly PlannedTarget[];
    current: VerifiedRelease | null;
    nowMs: number;
  },
): Release {
  const head = current?.release.revision ?? 0;
  const revision = choices.revision ?? head + 1;
  if (revision <= head) {
    throw new CliError(
      EXIT.refused,
      `Cannot publish revision ${revision} as channel "${choices.channel}" is at revision ${head}: ` +
        `wanted at least ${head + 1} (leave --revision out)`,
      { code: "revision_conflict" },
    );
  }
  return {
    type: "nix-ota/release",
    v: 1,
    fleet: choices.fleet,
    channel: choices.channel,
    revision,
    root: PINNED_ROOT,
    prev: current?.digest ?? null,
    issued: formatTimestamp(nowMs),
    expires: formatTimestamp(nowMs + choices.expiresSeconds * 1000),
    targets: targets.map(({ variant, closure: { system, storePath, narHash, summary } }) => ({
      system,
      variant,
      storePath,
      narHash,
      closure: { paths: summary.paths, narSize: summary.narSize, digest: summary.digest },
    })),
    substituters: choices.substituters.map(({ url, keys }) => ({ url, keys: [...keys] })),
    apply: { mode: choices.mode, healthSeconds: choices.healthSeconds },
    notes: choices.notes,
  };
}

/** A release signed and verified again by the code that devices run. */
export interface SignedRelease {
  readonly release: Release;
  readonly digest: string;
  /** The envelope as text; what is sent and stored. */
  readonly envelope: string;
}

/**
 * Signs with every signer, then verifies the result as a device that wants all of these signatures would.
 * @throws {CliError} Where the release is not valid, or a signer signed something else.
 */
export async function signRelease(release: Release, signers: readonly Signer[]): Promise<SignedRelease> {
  let payload: Bytes;
  try {
    payload = formatRelease(release);
  } catch (error) {
    if (!(error instanceof SchemaError)) throw error;
    throw usageError(`Cannot sign the release: ${error.message}`, error);
  }
  const envelope = formatEnvelope(await signEnvelope("release", payload, signers));
  const keys = signers.map(({ publicKey }) => publicKey);
  try {
    const { digest } = await verifyRelease(encodeUtf8(envelope), {
      keys,
      threshold: signers.length,
      fleet: release.fleet,
      channel: release.channel,
    });
    return { release, digest, envelope };
  } catch (error) {
    if (!(error instanceof OtaError)) throw error;
    throw new CliError(EXIT.refused, `Cannot send the release as its own check fails: ${error.message}`, {
      code: error.code,
      cause: error,
    });
  }
}

/**
 * Believes the server's current release only where a key of ours signed it: its revision and digest go into what is
 * signed next, and a server that lies must not be able to burn revisions.
 *
 * @throws {CliError} With exit code 3.
 */
export async function verifyCurrent(
  envelope: Bytes,
  { keys, fleet, channel }: { keys: readonly PublicKey[]; fleet: string; channel: string },
): Promise<VerifiedRelease> {
  try {
    return await verifyRelease(envelope, { keys, threshold: 1, fleet, channel });
  } catch (error) {
    if (!(error instanceof OtaError)) throw error;
    const advice = error.code === "signatures_insufficient"
      ? "it is signed by none of the keys given (where the key was changed, give the old public key with --trust)"
      : error.message;
    throw new CliError(EXIT.refused, `Cannot follow the server's current release of channel "${channel}": ${advice}`, {
      code: "current_untrusted",
      cause: error,
    });
  }
}

/** Digest of the payload in an envelope. @throws {OtaError} Where it is none. */
export function digestOfEnvelope(envelope: Bytes): Promise<string> {
  return digestOf(parseEnvelope(envelope).payload);
}
