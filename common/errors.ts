/**
 * Every error that one program of nix-ota may name to another: one closed list, one place (protocol 6.1).
 * @module
 */

/** HTTP status and short title of each error code (protocol 6.1). The code is the contract; the title is for people. */
export const ERROR_CODES = {
  // What clause 2.2 refuses, in the order in which it is checked.
  envelope_too_large: { status: 413, title: "The envelope is too large" },
  encoding_invalid: { status: 422, title: "The document is not valid UTF-8" },
  json_not_canonical: { status: 422, title: "The document is not canonical JSON" },
  envelope_invalid: { status: 422, title: "The envelope does not have the form of protocol 1.1" },
  base64_invalid: { status: 422, title: "The envelope holds base64 that is not in standard form" },
  signatures_insufficient: { status: 422, title: "Too few valid signatures by trusted keys" },
  payload_type_unexpected: { status: 422, title: "The signed document is of another kind" },
  payload_not_canonical: { status: 422, title: "The signed payload is not canonical JSON" },
  payload_invalid: { status: 422, title: "The signed payload does not have the documented form" },
  root_unknown: { status: 422, title: "The release is signed under a root document that is not known here" },
  fleet_mismatch: { status: 422, title: "The release is for another fleet" },
  channel_mismatch: { status: 422, title: "The release is for another channel" },
  no_target: { status: 422, title: "The release has no target for this system and variant" },
  revision_too_old: { status: 422, title: "The revision is older than one already known" },
  equivocation: { status: 422, title: "One revision was signed with two different contents" },
  release_expired: { status: 422, title: "The release has expired" },
  // Requests.
  request_invalid: { status: 400, title: "The request is not valid" },
  unauthorized: { status: 401, title: "The request needs a valid token" },
  forbidden: { status: 403, title: "The token does not permit this" },
  not_found: { status: 404, title: "There is no such thing" },
  method_not_allowed: { status: 405, title: "The method is not allowed here" },
  request_timeout: { status: 408, title: "The request was not received in time" },
  body_too_large: { status: 413, title: "The body is too large" },
  unsupported_media_type: { status: 415, title: "The content type is not the documented one" },
  rate_limited: { status: 429, title: "Too many requests" },
  headers_too_large: { status: 431, title: "The request line and headers are too large" },
  // Publishing.
  revision_conflict: { status: 409, title: "The revision is not above the highest known one" },
  prev_mismatch: { status: 409, title: "The release does not follow the current one" },
  closure_mismatch: { status: 422, title: "The closure listing does not match the signed digest" },
  // Devices.
  device_unknown: { status: 403, title: "The device is not enrolled" },
  device_pending: { status: 403, title: "The device waits for an operator to accept it" },
  device_rejected: { status: 403, title: "The device was rejected by an operator" },
  device_id_taken: { status: 409, title: "Another key already holds this device name" },
  enrolment_refused: { status: 403, title: "The enrolment policy refuses this device" },
  enrolment_full: { status: 503, title: "Too many devices wait for acceptance" },
  fingerprint_mismatch: { status: 409, title: "The device has another fingerprint" },
  nonce_stale: { status: 409, title: "The check-in does not continue the last answer" },
  checkin_replayed: { status: 409, title: "The check-in was already received" },
  // The server itself.
  overloaded: { status: 503, title: "The server is busy" },
  not_ready: { status: 503, title: "The server is not ready" },
  internal: { status: 500, title: "The server failed" },
} as const satisfies Record<string, { status: number; title: string }>;

/** A code of {@link ERROR_CODES}. */
export type ErrorCode = keyof typeof ERROR_CODES;

/** Whether `text` is a code of the closed list {@link ERROR_CODES}. */
export function isErrorCode(text: unknown): text is ErrorCode {
  return typeof text === "string" && Object.hasOwn(ERROR_CODES, text);
}

/**
 * An error with a code of the closed list (protocol 6.1). The message is one sentence for people, without a period, that says what
 * could not be done, to what, what was wanted and found; it never holds a secret.
 */
export class OtaError extends Error {
  override readonly name: string = "OtaError";
  readonly code: ErrorCode;
  /** Further members of the problem document, such as the highest known revision. */
  readonly extra: Readonly<Record<string, string | number | null>>;

  constructor(
    code: ErrorCode,
    message: string,
    options: { cause?: unknown; extra?: Record<string, string | number | null> } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.extra = options.extra ?? {};
  }
}

/** The sentence of anything thrown, on one line: its lines, without blanks around them, joined by `; `. */
export function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.split(/[\r\n]/).map((line) => line.trim()).filter((line) => line !== "").join("; ");
}

/**
 * Closes a switch over a union: the compiler refuses a forgotten case, the program a value from outside the types.
 * @throws {TypeError} Always.
 */
export function unreachable(value: never): never {
  throw new TypeError(`Unexpected value ${JSON.stringify(value)}`);
}
