/**
 * What a device signs: enrolment, check-in, log (protocol 4.2, 4.3, 4.4, 4.7).
 * @module
 */
import type { Bytes } from "./canonical.ts";
import { parsePayload } from "./document.ts";
import { Digest, MaybeStorePath, Name, Revision, StorePath, SystemName, text, Timestamp } from "./names.ts";
import { array, boolean, type Infer, integer, literal, nullable, oneOf, record, string } from "./schema.ts";
import { PHASES, REASON_PATTERN, RESULTS } from "./reasons.ts";

/** Largest check-in envelope in bytes (protocol 6.2). */
export const CHECKIN_MAX_BYTES = 16 * 1024;
/** Largest enrolment envelope in bytes (protocol 6.2). */
export const ENROL_MAX_BYTES = 8 * 1024;
/** Largest log envelope in bytes (protocol 6.2). */
export const LOG_MAX_BYTES = 96 * 1024;
/** Longest log tail in UTF-8 bytes before base64 (protocol 4.7). Base64 and JSON escapes must still fit the envelope. */
export const LOG_TAIL_MAX_BYTES = 64 * 1024;

/** A random value that links a check-in to the answer before it; empty where there was none. */
const Nonce = string({ pattern: /^[A-Za-z0-9_-]{0,64}$/, max: 64, wanted: "at most 64 characters A-Za-z0-9_-" });
const BootId = string({
  pattern: /^[0-9a-f-]{1,64}$/,
  max: 64,
  wanted: "a boot id such as /proc/sys/kernel/random/boot_id has",
});
const Version = text(64);
const PublicKeyText = string({ pattern: /^[A-Za-z0-9+/]{43}=$/, max: 44, wanted: "32 bytes in base64" });

/** What a device is made of. */
const Facts = record({
  system: SystemName,
  variant: Name,
  hostname: text(253),
  nixosVersion: nullable(Version),
  kernel: nullable(Version),
  /** SHA-256 of the machine's own identity, hexadecimal; tells a clone from the original. */
  machine: nullable(string({ pattern: /^[0-9a-f]{64}$/, max: 64, wanted: "64 hexadecimal digits" })),
  agent: Version,
});

/** An enrolment document (protocol 4.2), signed by the device's own key, which it names. */
export type Enrol = Infer<typeof Enrol>;
/** Reads an enrolment document. Throws {@link SchemaError} with the place. */
export const Enrol = record({
  type: literal("nix-ota/enrol"),
  v: literal(1),
  fleet: Name,
  deviceId: Name,
  channel: Name,
  /** The device's raw public key in base64. */
  publicKey: PublicKeyText,
  facts: Facts,
  /** Enrolment token, where the server's policy asks for one. */
  token: nullable(
    string({ pattern: /^[\x21-\x7e]{1,256}$/, max: 256, wanted: "at most 256 visible ASCII characters" }),
  ),
  at: Timestamp,
});

/** What the phase or the result is about. */
const AboutRelease = record({ revision: Revision, digest: Digest, storePath: StorePath });

/** The state of a device (protocol 4.4); null where the device cannot tell. */
export type DeviceState = Infer<typeof DeviceState>;
/** Reads the state of a device. Throws {@link SchemaError} with the place. */
export const DeviceState = record({
  phase: oneOf(PHASES),
  target: nullable(AboutRelease),
  /** Bytes are NAR bytes of the paths that were missing. */
  progress: nullable(record({ paths: integer(0), ofPaths: integer(0), bytes: integer(0), ofBytes: integer(0) })),
  since: Timestamp,
  result: nullable(oneOf(RESULTS)),
  reason: nullable(
    string({ pattern: REASON_PATTERN, max: 241, wanted: "a reason code, or one with a colon and text" }),
  ),
  /** A sentence for people, or null. */
  detail: nullable(text(2048)),
  running: MaybeStorePath,
  booted: MaybeStorePath,
  profile: MaybeStorePath,
  bootDefault: MaybeStorePath,
  needsReboot: boolean,
  inhibitors: array(text(200), { max: 16 }),
  failedUnits: array(text(256), { max: 32 }),
  /** Bytes on the file system that holds the Nix store. */
  disk: nullable(record({ free: integer(0), total: integer(0) })),
  kernel: nullable(Version),
  nixosVersion: nullable(Version),
  agent: Version,
});

/** A check-in document (protocol 4.3). */
export type Checkin = Infer<typeof Checkin>;
/** Reads a check-in document. Throws {@link SchemaError} with the place. */
export const Checkin = record({
  type: literal("nix-ota/checkin"),
  v: literal(1),
  fleet: Name,
  deviceId: Name,
  seq: integer(1),
  nonce: Nonce,
  bootId: BootId,
  at: Timestamp,
  clock: oneOf(["synced", "unsynced"]),
  root: integer(0),
  channel: Name,
  system: SystemName,
  variant: Name,
  /** Highest release verified on the channel: the device's floor. */
  seen: nullable(record({ revision: Revision, digest: Digest })),
  state: DeviceState,
});

/** A log document (protocol 4.7): the tail of a failed or rolled-back activation, already redacted. */
export type LogDocument = Infer<typeof LogDocument>;
/** Reads a log document. Throws {@link SchemaError} with the place. */
export const LogDocument = record({
  type: literal("nix-ota/log"),
  v: literal(1),
  fleet: Name,
  deviceId: Name,
  seq: integer(1),
  at: Timestamp,
  channel: Name,
  revision: Revision,
  digest: Digest,
  log: text(LOG_TAIL_MAX_BYTES),
});

/**
 * Reads the payload of an enrolment envelope (protocol 4.2).
 * @throws {OtaError} `payload_not_canonical` or `payload_invalid`.
 */
export function parseEnrol(payload: Bytes): Enrol {
  return parsePayload(payload, Enrol);
}

/**
 * Reads the payload of a check-in envelope (protocol 4.3).
 * @throws {OtaError} `payload_not_canonical` or `payload_invalid`.
 */
export function parseCheckin(payload: Bytes): Checkin {
  return parsePayload(payload, Checkin);
}

/**
 * Reads the payload of a log envelope (protocol 4.7).
 * @throws {OtaError} `payload_not_canonical` or `payload_invalid`.
 */
export function parseLogDocument(payload: Bytes): LogDocument {
  return parsePayload(payload, LogDocument);
}
