/**
 * The protocol between devices, publishers and the server: paths, limits, answers (protocol 4, 5, 6).
 * @module
 */
import { CHECKIN_MAX_BYTES, ENROL_MAX_BYTES, LOG_MAX_BYTES } from "./checkin.ts";
import { LISTING_MAX_BYTES } from "./closure.ts";
import { ENVELOPE_MAX_BYTES, SIGNATURES_MAX } from "./envelope.ts";
import { type ErrorCode, isErrorCode, messageOf, OtaError } from "./errors.ts";
import { formatRawPublicKey, parsePublicKey, type PublicKey } from "./key.ts";
import { Digest, Name, Revision, text } from "./names.ts";
import { boolean, type Infer, integer, literal, nullable, oneOf, open, optional, string } from "./schema.ts";
import { cleanLine } from "./text.ts";

/** Paths of the protocol (protocol 4, 5); names are checked before they get here, so nothing needs escaping. */
export const paths = {
  enroll: "/enroll",
  checkin: "/checkin",
  log: "/checkin/log",
  current: (channel: string): string => `/channels/${channel}/current`,
  release: (channel: string, revision: number): string => `/channels/${channel}/releases/${revision}`,
  publish: (channel: string): string => `/channels/${channel}/publish`,
  listing: (at: { channel: string; revision: number; system: string; variant: string }): string =>
    `/channels/${at.channel}/releases/${at.revision}/closures/${at.system}/${at.variant}`,
} as const;

/**
 * Header of a publish that carries the public keys behind the signatures, raw base64 with commas between them. A server
 * whose configuration pins no keys pins these at the first publish, after they verified; one with keys ignores it. A
 * header and not a part of the envelope, as a signed document must never bring its own trust (protocol 1.4).
 */
export const SIGNER_KEYS_HEADER = "nix-ota-signer-keys";

/** Prints the value of {@link SIGNER_KEYS_HEADER}: raw keys in base64 with commas between them. */
export function formatSignerKeys(keys: readonly PublicKey[]): string {
  return keys.map(formatRawPublicKey).join(",");
}

/**
 * Reads the value of {@link SIGNER_KEYS_HEADER}; empty where there is none.
 * @throws {OtaError} `request_invalid` where an item is no public key or there are more than an envelope has signatures.
 */
export function parseSignerKeys(header: string | null | undefined): readonly PublicKey[] {
  const items = (header ?? "").split(",").map((item) => item.trim()).filter((item) => item !== "");
  if (items.length > SIGNATURES_MAX) {
    throw new OtaError(
      "request_invalid",
      `Cannot read the header ${SIGNER_KEYS_HEADER}: it has over ${SIGNATURES_MAX}`,
    );
  }
  return items.map((item) => {
    try {
      return parsePublicKey(item);
    } catch (cause) {
      throw new OtaError("request_invalid", `Cannot read the header ${SIGNER_KEYS_HEADER}: ${messageOf(cause)}`, {
        cause,
      });
    }
  });
}

/** Largest request bodies in bytes, and the time a request may take to arrive (protocol 6.2). */
export const REQUEST_LIMITS = {
  headerBytes: 16 * 1024,
  enrolBytes: ENROL_MAX_BYTES,
  checkinBytes: CHECKIN_MAX_BYTES,
  logBytes: LOG_MAX_BYTES,
  publishBytes: ENVELOPE_MAX_BYTES,
  listingBytes: LISTING_MAX_BYTES,
  operatorBytes: 64 * 1024,
  receiveMs: 10_000,
} as const;

/** Longest time a long poll is held, in seconds (protocol 4.6): below the usual 60 s of proxies. */
export const WAIT_MAX_SECONDS = 55;
/** Largest answer that a device reads besides envelopes, in bytes: one directive has about 1 KiB. */
export const ANSWER_MAX_BYTES = 64 * 1024;
/** Content type of an error (RFC 9457). */
export const PROBLEM_CONTENT_TYPE = "application/problem+json";

const Nonce = string({ pattern: /^[A-Za-z0-9_-]{1,64}$/, max: 64, wanted: "a nonce of at most 64 characters" });

/** What the server offers a device (protocol 4.5). It may delay a device, never choose what it runs. */
export type Offer = Infer<typeof Offer>;
const Offer = open({
  channel: Name,
  revision: Revision,
  digest: Digest,
  /** Whether the device may download. */
  stage: boolean,
  /** Whether the device may activate. */
  activate: boolean,
  /** In words, why the device may or may not go on. */
  reason: text(512),
});

/** The answer to a check-in (protocol 4.5). */
export type Directive = Infer<typeof Directive>;
/** Reads a directive; keys it does not know are ignored. */
export const Directive = open({
  v: literal(1),
  /** To be sent in the next check-in. */
  nonce: Nonce,
  serverTime: text(32),
  pollAfterSeconds: integer(0, 31 * 86_400),
  root: integer(0),
  offer: nullable(Offer),
  /** Bearer token for reading releases, where the server closes them to strangers; for about a day. */
  readToken: optional(nullable(text(256)), null),
});

/** The answer to an enrolment (protocol 4.2). */
export type EnrolAnswer = Infer<typeof EnrolAnswer>;
/** Reads the answer to an enrolment; refusals come as problems. */
export const EnrolAnswer = open({
  v: literal(1),
  status: oneOf(["accepted", "pending"]),
  nonce: Nonce,
  pollAfterSeconds: integer(0, 31 * 86_400),
});

/** The answer to a publish (protocol 5.2). */
export type PublishAnswer = Infer<typeof PublishAnswer>;
/** Reads the answer to a publish. */
export const PublishAnswer = open({ channel: Name, revision: Revision, digest: Digest });

/** An error as it travels (protocol 6.1). */
export interface Problem {
  readonly status: number;
  /** Null where the answer is not from a nix-ota server, such as a proxy's own page. */
  readonly code: ErrorCode | null;
  /** A sentence for people. */
  readonly detail: string;
  /** The whole document, for members that only one code has. */
  readonly members: Readonly<Record<string, unknown>>;
}

/** Longest sentence that is taken from a problem document, in UTF-16 code units. */
const DETAIL_MAX = 1000;

/**
 * Reads the body of an answer that is not 2xx (protocol 6.1, RFC 9457); never throws. `body` is at most
 * {@link ANSWER_MAX_BYTES} of text. `detail` is cleaned for showing; `members` are as they came.
 */
export function parseProblem(status: number, body: string): Problem {
  let members: Record<string, unknown> = {};
  try {
    const value: unknown = JSON.parse(body);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) members = { ...value };
  } catch {
    // Not JSON: a proxy's page. The status has to do.
  }
  const { code, detail } = members;
  const told = typeof detail === "string" ? cleanLine(detail, DETAIL_MAX) : "";
  return {
    status,
    code: isErrorCode(code) ? code : null,
    detail: told || `the server answered ${status}`,
    members,
  };
}

/** An ETag of a release (protocol 5.1, RFC 9110 section 8.8.3): its digest in quotes. */
export function formatEtag(digest: string): string {
  return `"${digest}"`;
}

/** Whether an `If-None-Match` header names the ETag; weak forms, lists and `*` count (RFC 9110 section 13.1.2). */
export function matchesEtag(header: string | null | undefined, etag: string): boolean {
  if (header === null || header === undefined) return false;
  return header.split(",").map((one) => one.trim().replace(/^W\//, "")).some((one) => one === "*" || one === etag);
}

/** The seconds that a `Prefer: wait=N` header asks for (RFC 7240 section 4.3), at most {@link WAIT_MAX_SECONDS}; 0 without. */
export function parsePreferWait(header: string | null | undefined): number {
  const [, seconds] = /(?:^|[,;]\s*)wait\s*=\s*"?(\d{1,6})"?/i.exec(header ?? "") ?? [];
  return Math.min(WAIT_MAX_SECONDS, Number(seconds ?? 0));
}
