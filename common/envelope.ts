/**
 * DSSE 1.0.2 envelopes: exact bytes, a type, and signatures over both (protocol 1.1, 1.2, 1.4).
 * @module
 */
import { concatBytes, formatBase64, formatHex, parseBase64 } from "./base64.ts";
import { type Bytes, encodeUtf8, formatCanonicalJson, parseCanonicalJson } from "./canonical.ts";
import { importVerifier, SIGNATURE_BYTES } from "./ed25519.ts";
import { OtaError } from "./errors.ts";
import { fingerprintOf, type PublicKey, type Signer } from "./key.ts";
import { array, record, SchemaError, string } from "./schema.ts";

/** Content type of an envelope in HTTP (protocol 1.1). */
export const ENVELOPE_CONTENT_TYPE = "application/vnd.nix-ota.envelope+json";
/** Largest envelope in bytes (protocol 1.1). */
export const ENVELOPE_MAX_BYTES = 1024 * 1024;
/** Most signatures in one envelope (protocol 1.1). */
export const SIGNATURES_MAX = 16;

/** The kinds of signed document; one payload type each, so that no signature serves twice (protocol 1.2). */
export const PAYLOAD_TYPES = {
  release: "application/vnd.nix-ota.release.v1+json",
  enrol: "application/vnd.nix-ota.enrol.v1+json",
  checkin: "application/vnd.nix-ota.checkin.v1+json",
  log: "application/vnd.nix-ota.log.v1+json",
} as const;

/** A kind of signed document: a key of {@link PAYLOAD_TYPES}. */
export type DocumentKind = keyof typeof PAYLOAD_TYPES;

/** One signature and the hint at its key (protocol 1.5). */
export interface EnvelopeSignature {
  /** OpenSSH fingerprint: a hint only, never a reason to trust (DSSE: "MUST NOT be used for security decisions"). */
  readonly keyid: string;
  /** 64 bytes. */
  readonly sig: Bytes;
}

/** A parsed envelope (protocol 1.1); nothing in it is trusted yet. */
export interface Envelope {
  readonly payloadType: string;
  readonly payload: Bytes;
  readonly signatures: readonly EnvelopeSignature[];
}

/** Keys that may sign, and how many distinct ones must (protocol 1.4). */
export interface KeyPolicy {
  readonly keys: readonly PublicKey[];
  /** At least 1 and at most the number of distinct keys. */
  readonly threshold: number;
}

const Text = string({ max: ENVELOPE_MAX_BYTES, wanted: "text" });
const EnvelopeShape = record({
  payloadType: string({
    min: 1,
    max: 128,
    pattern: /^[\x21-\x7e]+$/,
    wanted: "a content type of at most 128 characters",
  }),
  payload: Text,
  signatures: array(
    record({
      keyid: string({ max: 128, pattern: /^[\x20-\x7e]*$/, wanted: "at most 128 ASCII characters" }),
      sig: Text,
    }),
    { min: 1, max: SIGNATURES_MAX },
  ),
});

/**
 * Reads an envelope, checking in the order of protocol 2.2: size, UTF-8, JSON gate, keys, base64. Says nothing about
 * trust.
 *
 * @throws {OtaError} `envelope_too_large`, `encoding_invalid`, `json_not_canonical`, `envelope_invalid` or
 *   `base64_invalid`.
 */
export function parseEnvelope(bytes: Bytes): Envelope {
  if (bytes.length > ENVELOPE_MAX_BYTES) {
    throw new OtaError(
      "envelope_too_large",
      `Cannot read the envelope as it has ${bytes.length} bytes: wanted at most ${ENVELOPE_MAX_BYTES}`,
    );
  }
  const value = parseCanonicalJson(bytes);
  let shape: ReturnType<typeof EnvelopeShape>;
  try {
    shape = EnvelopeShape(value, "envelope");
  } catch (error) {
    if (!(error instanceof SchemaError)) throw error;
    throw new OtaError("envelope_invalid", `Cannot read the envelope: ${error.message}`, { cause: error });
  }
  return {
    payloadType: shape.payloadType,
    payload: base64(shape.payload, "envelope.payload"),
    signatures: shape.signatures.map(({ keyid, sig }, at) => ({ keyid, sig: signature(sig, at) })),
  };
}

function base64(text: string, at: string): Bytes {
  const bytes = parseBase64(text);
  if (bytes) return bytes;
  throw new OtaError("base64_invalid", `Cannot read the envelope: ${at} must be standard padded base64`);
}

function signature(text: string, at: number): Bytes {
  const bytes = base64(text, `envelope.signatures[${at}].sig`);
  if (bytes.length === SIGNATURE_BYTES) return bytes;
  throw new OtaError(
    "base64_invalid",
    `Cannot read the envelope: envelope.signatures[${at}].sig must have ${SIGNATURE_BYTES} bytes, found ${bytes.length}`,
  );
}

/** Prints an envelope in canonical form (protocol 1.3), of any size: {@link parseEnvelope} reads {@link ENVELOPE_MAX_BYTES}. */
export function formatEnvelope(envelope: Envelope): string {
  return formatCanonicalJson({
    payloadType: envelope.payloadType,
    payload: formatBase64(envelope.payload),
    signatures: envelope.signatures.map(({ keyid, sig }) => ({ keyid, sig: formatBase64(sig) })),
  });
}

/** DSSE's pre-authentication encoding: the bytes that are signed (protocol 1.2). */
export function preAuthEncoding(payloadType: string, payload: Bytes): Bytes {
  const type = encodeUtf8(payloadType);
  return concatBytes(
    encodeUtf8(`DSSEv1 ${type.length} `),
    type,
    encodeUtf8(` ${payload.length} `),
    payload,
  );
}

/**
 * Signs a payload with every signer, in their order (protocol 1.2).
 * @throws {RangeError} For no signer or more than {@link SIGNATURES_MAX}: nobody could read the envelope.
 */
export async function signEnvelope(kind: DocumentKind, payload: Bytes, signers: readonly Signer[]): Promise<Envelope> {
  if (signers.length < 1 || signers.length > SIGNATURES_MAX) {
    throw new RangeError(`Cannot sign with ${signers.length} keys: wanted 1 to ${SIGNATURES_MAX}`);
  }
  const payloadType = PAYLOAD_TYPES[kind];
  const message = preAuthEncoding(payloadType, payload);
  const signatures: EnvelopeSignature[] = [];
  for (const signer of signers) {
    signatures.push({ keyid: await fingerprintOf(signer.publicKey), sig: await signer.sign(message) });
  }
  return { payloadType, payload, signatures };
}

/**
 * The trusted keys that really signed the envelope (protocol 1.4), in their order, each raw key once however often it is
 * listed or signs, so that duplicate signatures and duplicate keys cannot reach a threshold. What cannot be verified is
 * ignored.
 */
export async function signersOf(envelope: Envelope, keys: readonly PublicKey[]): Promise<readonly PublicKey[]> {
  const message = preAuthEncoding(envelope.payloadType, envelope.payload);
  const distinct = new Map(keys.map((key) => [formatHex(key.bytes), key]));
  const found: PublicKey[] = [];
  for (const key of distinct.values()) {
    const verify = await importVerifier(key.bytes);
    for (const { sig } of envelope.signatures) {
      if (verify === null || !await verify(message, sig)) continue;
      found.push(key);
      break;
    }
  }
  return found;
}

/**
 * Checks that enough distinct trusted keys signed (protocol 1.4) and that the document is of the wanted kind.
 * @throws {OtaError} `signatures_insufficient` or `payload_type_unexpected`.
 * @throws {RangeError} If the policy itself asks for less than one signature or more than it has keys.
 */
export async function verifyEnvelope(envelope: Envelope, kind: DocumentKind, policy: KeyPolicy): Promise<void> {
  const distinct = new Set(policy.keys.map((key) => formatHex(key.bytes))).size;
  if (!Number.isSafeInteger(policy.threshold) || policy.threshold < 1 || policy.threshold > distinct) {
    throw new RangeError(
      `Cannot verify with the threshold ${policy.threshold}: wanted 1 to ${distinct}, the number of keys`,
    );
  }
  const found = (await signersOf(envelope, policy.keys)).length;
  if (found < policy.threshold) {
    throw new OtaError(
      "signatures_insufficient",
      `Cannot trust the document as ${found} of ${policy.threshold} needed signatures by trusted keys are valid`,
    );
  }
  if (envelope.payloadType !== PAYLOAD_TYPES[kind]) {
    throw new OtaError(
      "payload_type_unexpected",
      `Cannot use the document as its payload type is "${envelope.payloadType}": wanted "${PAYLOAD_TYPES[kind]}"`,
    );
  }
}
