/**
 * What devices sign, opened: parsed, and verified with the key of the device that it names (protocol 1, 4).
 * @module
 */
import {
  type Bytes,
  type DocumentKind,
  type Envelope,
  importVerifier,
  OtaError,
  parseEnvelope,
  PAYLOAD_TYPES,
  preAuthEncoding,
  type Verifier,
} from "@nix-ota/common";
import type { DeviceIdentity } from "../store/wire_queries.ts";

/** Imported keys kept for the next check-in: some 2 KB each. */
const VERIFIERS_MAX = 20_000;

/** A document of a known device, and who that is. */
export interface FromDevice<T> {
  readonly document: T;
  readonly identity: DeviceIdentity;
}

/** Opens envelopes of devices. */
export interface DeviceEnvelopes {
  /**
   * Reads and verifies a document that names its device.
   * @throws {OtaError} The codes of `parseEnvelope` and `parse`, `payload_type_unexpected`, `device_unknown`,
   *   `signatures_insufficient`, `fleet_mismatch`.
   */
  open<T extends { deviceId: string; fleet: string }>(
    bytes: Bytes,
    kind: DocumentKind,
    parse: (payload: Bytes) => T,
  ): Promise<FromDevice<T>>;
}

/** Makes the opener. Keys are imported once and kept by what they are, so a changed key is another entry. */
export function createDeviceEnvelopes({ fleet, identity }: {
  fleet: string;
  identity: (name: string) => DeviceIdentity | null;
}): DeviceEnvelopes {
  const verifiers = new Map<string, Verifier>();

  async function verifierOf({ fingerprint, publicKey }: DeviceIdentity): Promise<Verifier | null> {
    const known = verifiers.get(fingerprint);
    if (known !== undefined) return known;
    const verifier = await importVerifier(publicKey);
    if (verifier === null) return null;
    const [oldest] = verifiers.keys();
    if (verifiers.size >= VERIFIERS_MAX && oldest !== undefined) verifiers.delete(oldest);
    verifiers.set(fingerprint, verifier);
    return verifier;
  }

  return {
    open: async (bytes, kind, parse) => {
      const envelope = parseDeviceEnvelope(bytes, kind);
      const document = parse(envelope.payload);
      const found = identity(document.deviceId);
      if (found === null) {
        throw new OtaError(
          "device_unknown",
          `Cannot take a report of the device "${document.deviceId}" as it is not enrolled`,
        );
      }
      await checkSignature(envelope, await verifierOf(found), document.deviceId);
      checkFleet(document.fleet, fleet);
      return { document, identity: found };
    },
  };
}

/** Reads an envelope that one device signed, so with one signature: each further one would only cost time to check. */
export function parseDeviceEnvelope(bytes: Bytes, kind: DocumentKind): Envelope {
  const envelope = parseEnvelope(bytes);
  if (envelope.signatures.length !== 1) {
    throw new OtaError(
      "envelope_invalid",
      `Cannot read the envelope as it has ${envelope.signatures.length} signatures: wanted the device's own`,
    );
  }
  if (envelope.payloadType !== PAYLOAD_TYPES[kind]) {
    throw new OtaError(
      "payload_type_unexpected",
      `Cannot use the document as its payload type is "${envelope.payloadType}": wanted "${PAYLOAD_TYPES[kind]}"`,
    );
  }
  return envelope;
}

/** @throws {OtaError} `signatures_insufficient`. */
export async function checkSignature(envelope: Envelope, verifier: Verifier | null, deviceId: string): Promise<void> {
  const [signature] = envelope.signatures;
  const message = preAuthEncoding(envelope.payloadType, envelope.payload);
  if (signature !== undefined && verifier !== null && await verifier(message, signature.sig)) return;
  throw new OtaError(
    "signatures_insufficient",
    `Cannot trust the document as it is not signed with the key of the device "${deviceId}"`,
  );
}

/** @throws {OtaError} `fleet_mismatch`. */
export function checkFleet(found: string, wanted: string): void {
  if (found === wanted) return;
  throw new OtaError(
    "fleet_mismatch",
    `Cannot take the document as it is for the fleet "${found}": wanted "${wanted}"`,
  );
}

/** @throws {OtaError} `device_rejected`: before anything is written, as a rejected device may send for ever. */
export function checkNotRejected({ identity: { name, status } }: FromDevice<unknown>): void {
  if (status !== "rejected") return;
  throw new OtaError("device_rejected", `Cannot take a report of the device "${name}" as an operator rejected it`);
}
