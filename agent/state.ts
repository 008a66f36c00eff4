/**
 * What the agent knows and must not forget: the open transaction and the memory that outlives it, with the parsers that
 * read them back from the journal. Fields are only ever added, with a default, so that an older agent that a rollback
 * brings back can still read them.
 * @module
 */
import { type ApplyMode, type Reason, type ReleaseRef, type Result, schema } from "@nix-ota/common";
import {
  APPLY_MODES,
  Digest,
  MaybeStorePath,
  Name,
  type Parser,
  REASON_PATTERN,
  RESULTS,
  Revision,
  SchemaError,
  StorePath,
  text,
} from "@nix-ota/common";

const { array, boolean, integer, nullable, oneOf, open, optional, string } = schema;

/** A release as the agent works on it. Everything else of it is read from the stored envelope, verified again. */
export interface Deployment {
  readonly channel: string;
  readonly revision: number;
  readonly digest: string;
  readonly storePath: string;
  readonly mode: ApplyMode;
  /** Longest time for the health check to pass, in seconds. */
  readonly healthSeconds: number;
}

/** How a system is put in force: at once, or for the next boot. */
export const ACTIONS = ["switch", "boot"] as const;
/** One of {@link ACTIONS}. */
export type Action = typeof ACTIONS[number];

/** How the way back is gone: with an activation, for the next boot, or only the profile where nothing else was touched. */
export const RETURNS = ["switch", "boot", "profile"] as const;
/** One of {@link RETURNS}. */
export type Return = typeof RETURNS[number];

/** Something that is put in force and may have to be taken back. */
interface Trial {
  readonly target: Deployment;
  /** The system that really ran before: where a rollback goes. Null where none ran. */
  readonly prev: string | null;
  /** The boot in which the step began. */
  readonly bootId: string;
  /** Number of this attempt at the step, from 1. */
  readonly attempt: number;
}

/** The open transaction. */
export type State =
  | { readonly kind: "idle" }
  /** Fetching. */
  | { readonly kind: "staging"; readonly target: Deployment }
  /** Fetched and checked; waits for the server's permission. */
  | { readonly kind: "staged"; readonly target: Deployment }
  /** From before the profile is touched until the activation was judged. */
  | Trial & { readonly kind: "trial"; readonly action: Action }
  /** The target is the boot default; runs from the next boot on. */
  | Trial & { readonly kind: "rebooting"; readonly reason: Reason | null }
  /** The target runs and is not confirmed. */
  | Trial & { readonly kind: "probation"; readonly warnings: boolean }
  | Trial & {
    readonly kind: "rolling_back";
    readonly how: Return;
    readonly outcome: Outcome;
    /** Whether the release is remembered as bad. */
    readonly remember: boolean;
  };

/** How an attempt at a release ended. */
export interface Outcome {
  readonly result: Result;
  /** A code of `reasons.ts` or `errors.ts`, perhaps with a colon and more; null where there is nothing to say. */
  readonly reason: string | null;
  readonly detail: string | null;
}

/** The last attempt. */
export interface LastOutcome extends Outcome {
  readonly release: (ReleaseRef & { readonly storePath: string | null }) | null;
  readonly atMs: number;
}

/** A release that is never tried again by itself. */
export interface BadRelease {
  readonly digest: string;
  readonly reason: string;
  readonly atMs: number;
}

/** What outlives transactions. */
export interface Memory {
  /** Highest release ever verified, by `fleet/channel` (protocol 2.3). */
  readonly floors: Readonly<Record<string, ReleaseRef>>;
  /** Latest `issued` of everything verified (protocol 2.4), in milliseconds since 1970. */
  readonly timeFloorMs: number;
  /** Newest last; at most {@link BAD_RELEASES_MAX}. */
  readonly bad: readonly BadRelease[];
  readonly last: LastOutcome | null;
  /** The release that was last confirmed on this device. */
  readonly confirmed: Deployment | null;
  /** The system that ran before `confirmed`: where a rollback by hand goes. */
  readonly previous: string | null;
  /** A release whose log has not reached the server. */
  readonly unsentLog: Deployment | null;
}

/** Everything in the journal. */
export interface Situation {
  readonly state: State;
  /** When the state was entered, milliseconds since 1970. */
  readonly sinceMs: number;
  /** Journal writes of the open transaction; what the loop breaker counts. */
  readonly writes: number;
  readonly memory: Memory;
}

/** Most bad releases that are remembered: more failures than a fleet publishes in years. */
export const BAD_RELEASES_MAX = 64;
/** Most channels whose floors are kept. */
const FLOORS_MAX = 256;

/** What a device knows before its first start. */
export const EMPTY_MEMORY: Memory = {
  floors: {},
  timeFloorMs: 0,
  bad: [],
  last: null,
  confirmed: null,
  previous: null,
  unsentLog: null,
};

/** What a device starts with. */
export function emptySituation(nowMs: number): Situation {
  return { state: { kind: "idle" }, sinceMs: nowMs, writes: 0, memory: EMPTY_MEMORY };
}

/** The key of a channel's floor. */
export function floorKey({ fleet, channel }: { fleet: string; channel: string }): string {
  return `${fleet}/${channel}`;
}

const Deployment: Parser<Deployment> = open({
  channel: Name,
  revision: Revision,
  digest: Digest,
  storePath: StorePath,
  mode: oneOf(APPLY_MODES),
  healthSeconds: integer(1, 86_400),
});

const BootId = text(64);
const ReasonText = string({ pattern: REASON_PATTERN, max: 241, wanted: "a reason" });
const Outcome = open({
  result: oneOf(RESULTS),
  reason: nullable(ReasonText),
  detail: nullable(text(2048)),
});

const trialFields = { target: Deployment, prev: MaybeStorePath, bootId: BootId, attempt: integer(1, 1000) };
const withTarget = open({ target: Deployment });
const TrialState = open({ ...trialFields, action: oneOf(ACTIONS) });
// The reason was written by this program; one that another version wrote is carried, not interpreted.
const RebootingState = open({ ...trialFields, reason: nullable(ReasonText) as Parser<Reason | null> });
const ProbationState = open({ ...trialFields, warnings: boolean });
const RollingBackState = open({ ...trialFields, how: oneOf(RETURNS), outcome: Outcome, remember: boolean });
const Kind = open({
  kind: oneOf(["idle", "staging", "staged", "trial", "rebooting", "probation", "rolling_back"] as const),
});

/** Reads an open transaction. */
export function parseState(value: unknown, at: string): State {
  const { kind } = Kind(value, at);
  switch (kind) {
    case "idle":
      return { kind };
    case "staging":
    case "staged":
      return { kind, ...withTarget(value, at) };
    case "trial":
      return { kind, ...TrialState(value, at) };
    case "rebooting":
      return { kind, ...RebootingState(value, at) };
    case "probation":
      return { kind, ...ProbationState(value, at) };
    case "rolling_back":
      return { kind, ...RollingBackState(value, at) };
  }
}

const Ref = open({ revision: Revision, digest: Digest });

function Floors(value: unknown, at: string): Readonly<Record<string, ReleaseRef>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new SchemaError(at, "must be an object");
  }
  const entries = Object.entries(value);
  if (entries.length > FLOORS_MAX) throw new SchemaError(at, `must have at most ${FLOORS_MAX} channels`);
  return Object.fromEntries(entries.map(([key, ref]) => [key, Ref(ref, `${at}.${key}`)]));
}

const LastOutcomeShape: Parser<LastOutcome> = open({
  result: oneOf(RESULTS),
  reason: nullable(ReasonText),
  detail: nullable(text(2048)),
  release: nullable(open({ revision: Revision, digest: Digest, storePath: MaybeStorePath })),
  atMs: integer(0),
});

const MemoryShape: Parser<Memory> = open({
  floors: Floors,
  timeFloorMs: integer(0),
  bad: array(open({ digest: Digest, reason: ReasonText, atMs: integer(0) }), { max: BAD_RELEASES_MAX }),
  last: nullable(LastOutcomeShape),
  confirmed: nullable(Deployment),
  previous: MaybeStorePath,
  unsentLog: optional(nullable(Deployment), null),
});

/** Reads what the journal holds. */
export const parseSituation: Parser<Situation> = open({
  state: parseState,
  sinceMs: integer(0),
  writes: integer(0),
  memory: MemoryShape,
});
