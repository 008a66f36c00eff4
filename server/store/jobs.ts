/**
 * What the writer can be asked to do. Each job is one transaction of its own as far as its asker can tell: it happens
 * as a whole or not at all, and its outcome is told only once it is on the disk.
 * @module
 */
import type { Bytes, ErrorCode, Release } from "@nix-ota/common";

/** The job could not be done for a reason that its asker is to be told. */
export interface Refusal {
  readonly kind: "refused";
  readonly code: ErrorCode;
  readonly message: string;
  readonly extra?: Readonly<Record<string, string | number | null>>;
}

/** What a device says of itself, cleaned for showing. */
export interface DeviceFacts {
  readonly channel: string;
  readonly system: string;
  readonly variant: string;
}

/** A device asks to be let in (protocol 4.2). */
export interface EnrolJob {
  readonly kind: "enrol";
  readonly nowMs: number;
  readonly name: string;
  readonly publicKey: Bytes;
  readonly fingerprint: string;
  readonly facts: DeviceFacts;
  readonly hostname: string;
  /** JSON of everything else it said. */
  readonly details: string;
  /** What the policy makes of a device that is not known yet. */
  readonly admission: "accepted" | "pending" | "refused";
  /** The nonce for a new device. */
  readonly nonce: string;
  /** Most devices that may wait for an operator. */
  readonly pendingMax: number;
  /** Where the request came from. */
  readonly actor: string;
}

/** A device is known. */
export interface Enrolled {
  readonly kind: "enrolled";
  readonly status: "accepted" | "pending";
  /** The nonce that its next check-in must carry. */
  readonly nonce: string;
  /** False where nothing changed: the same device asked again. */
  readonly changed: boolean;
}

/** The state of a device as it is kept. */
export interface StateRecord {
  /** Of what the state says, without what moves all the time. */
  readonly hash: string;
  /** What an event is about; another value is a new event. */
  readonly story: string;
  readonly phase: string;
  readonly targetDigest: string | null;
  readonly result: string | null;
  readonly running: string | null;
  /** The whole state as JSON. */
  readonly json: string;
}

/** A device reports (protocol 4.3); its signature is verified. */
export interface CheckinJob {
  readonly kind: "checkin";
  readonly nowMs: number;
  readonly name: string;
  /** The key that the signature was verified with: the device's row must still hold it. */
  readonly fingerprint: string;
  readonly seq: number;
  readonly nonce: string;
  readonly bootId: string;
  readonly facts: DeviceFacts;
  readonly state: StateRecord;
  /** The nonce of the answer. */
  readonly newNonce: string;
}

/** The check-in is kept. */
export interface CheckedIn {
  readonly kind: "checked_in";
  readonly status: "accepted" | "pending";
  /** Whether operators see something new. */
  readonly changed: boolean;
  /** Whether the story changed: an event was kept. */
  readonly told: boolean;
  /** Whether this check-in made the device a suspected clone. */
  readonly cloneFound: boolean;
}

/** A device sends the log of an activation (protocol 4.7); its signature is verified. */
export interface LogJob {
  readonly kind: "log";
  readonly nowMs: number;
  readonly name: string;
  readonly fingerprint: string;
  readonly seq: number;
  readonly channel: string;
  readonly revision: number;
  readonly digest: string;
  readonly log: string;
}

/** The log is kept, now or before. */
export interface Logged {
  readonly kind: "logged";
}

/** A publisher sends a release whose signatures are verified (protocol 5.2). */
export interface PublishJob {
  readonly kind: "publish";
  readonly nowMs: number;
  readonly release: Release;
  readonly digest: string;
  /** The envelope as it came. */
  readonly envelope: string;
  /** Fingerprints of the keys whose signatures were verified. */
  readonly signers: readonly string[];
  /** Raw base64 keys to pin where none are pinned yet, or null where the configuration pins them. */
  readonly pin: readonly string[] | null;
  readonly channelsMax: number;
  readonly actor: string;
}

/** The release is the channel's current one, or was published before with the same bytes. */
export interface Published {
  readonly kind: "published";
  readonly isNew: boolean;
}

/** A publisher sends the listing of a closure, which matches its signed digest (protocol 5.3). */
export interface ListingJob {
  readonly kind: "listing";
  readonly digest: string;
  readonly listing: string;
}

/** The listing is kept. */
export interface Listed {
  readonly kind: "listed";
  readonly isNew: boolean;
}

/** An operator lets a device in or keeps it out. */
export interface DecideJob {
  readonly kind: "decide";
  readonly nowMs: number;
  readonly name: string;
  /** What the operator saw: the decision is for this key only. */
  readonly fingerprint: string;
  readonly status: "accepted" | "rejected";
  readonly actor: string;
}

/** The decision is kept. */
export interface Decided {
  readonly kind: "decided";
  readonly changed: boolean;
}

/** Old events and forgotten pending devices go, a bounded number of each. */
export interface PruneJob {
  readonly kind: "prune";
  readonly eventsBeforeMs: number;
  readonly pendingBeforeMs: number;
}

/** How much went. */
export interface Pruned {
  readonly kind: "pruned";
  readonly events: number;
  readonly devices: number;
}

/** A server takes the database for its fleet. */
export interface ClaimJob {
  readonly kind: "claim";
  readonly fleet: string;
}

/** The database is the fleet's. */
export interface Claimed {
  readonly kind: "claimed";
}

/** Something is written, to see that it can be. */
export interface ProbeJob {
  readonly kind: "probe";
  readonly nowMs: number;
}

/** It was written. */
export interface Probed {
  readonly kind: "probed";
}

/** Every job with what comes of it. */
export interface Work {
  readonly enrol: { readonly job: EnrolJob; readonly outcome: Enrolled | Refusal };
  readonly checkin: { readonly job: CheckinJob; readonly outcome: CheckedIn | Refusal };
  readonly log: { readonly job: LogJob; readonly outcome: Logged | Refusal };
  readonly publish: { readonly job: PublishJob; readonly outcome: Published | Refusal };
  readonly listing: { readonly job: ListingJob; readonly outcome: Listed | Refusal };
  readonly decide: { readonly job: DecideJob; readonly outcome: Decided | Refusal };
  readonly probe: { readonly job: ProbeJob; readonly outcome: Probed | Refusal };
  readonly claim: { readonly job: ClaimJob; readonly outcome: Claimed | Refusal };
  readonly prune: { readonly job: PruneJob; readonly outcome: Pruned | Refusal };
}

/** The name of a job. */
export type JobKind = keyof Work;
/** Any job. */
export type Job = Work[JobKind]["job"];
/** The outcome of any job. */
export type Outcome = Work[JobKind]["outcome"];
/** The outcome of one kind of job. */
export type OutcomeOf<K extends JobKind> = Work[K]["outcome"];

/** Refuses a job. */
export function refuse(code: ErrorCode, message: string, extra?: Refusal["extra"]): Refusal {
  return extra === undefined ? { kind: "refused", code, message } : { kind: "refused", code, message, extra };
}
