/**
 * A device for tests: what it signs, and the chain of answers it keeps.
 * @module
 */
import {
  Checkin,
  type DeviceState,
  Enrol,
  type Envelope,
  fingerprintOf,
  formatDocument,
  formatRawPublicKey,
  LogDocument,
  signEnvelope,
  type Signer,
} from "@nix-ota/common";
import { testSigner } from "@/common/testing/documents.ts";

const AT = "2026-02-01T00:00:00Z";

/** An idle device that cannot tell much. */
export function testState(change: Partial<DeviceState> = {}): DeviceState {
  return {
    phase: "idle",
    target: null,
    progress: null,
    since: AT,
    result: null,
    reason: null,
    detail: null,
    running: null,
    booted: null,
    profile: null,
    bootDefault: null,
    needsReboot: false,
    inhibitors: [],
    failedUnits: [],
    disk: null,
    kernel: null,
    nixosVersion: null,
    agent: "0.1.0",
    ...change,
  };
}

/** A device with a key of its own. */
export interface TestDevice {
  readonly name: string;
  readonly signer: Signer;
  readonly fingerprint: string;
  /** What it knows of its chain; `checkin` goes on from here. */
  readonly chain: { seq: number; nonce: string };
  enrol(change?: Partial<Enrol>): Promise<Envelope>;
  /** The next check-in; `chain.seq` grows. */
  checkin(change?: Partial<Checkin>, signer?: Signer): Promise<Envelope>;
  log(change?: Partial<LogDocument>): Promise<Envelope>;
}

/** Makes a device; the same seed is the same key. */
export async function testDevice(name: string, seed: number = 100): Promise<TestDevice> {
  const signer = await testSigner(seed);
  const chain = { seq: 0, nonce: "" };
  const kind = { system: "x86_64-linux", variant: "default" };
  const who = { fleet: "default", deviceId: name } as const;
  return {
    name,
    signer,
    fingerprint: await fingerprintOf(signer.publicKey),
    chain,
    enrol: (change = {}) =>
      signEnvelope(
        "enrol",
        formatDocument(Enrol, {
          type: "nix-ota/enrol",
          v: 1,
          ...who,
          channel: "prod",
          publicKey: formatRawPublicKey(signer.publicKey),
          facts: { ...kind, hostname: name, nixosVersion: null, kernel: null, machine: null, agent: "0.1.0" },
          token: null,
          at: AT,
          ...change,
        }),
        [signer],
      ),
    checkin: (change = {}, by = signer) => {
      chain.seq += 1;
      const document: Checkin = {
        type: "nix-ota/checkin",
        v: 1,
        ...who,
        seq: chain.seq,
        nonce: chain.nonce,
        bootId: "b0",
        at: AT,
        clock: "synced",
        root: 0,
        channel: "prod",
        ...kind,
        seen: null,
        state: testState(),
        ...change,
      };
      return signEnvelope("checkin", formatDocument(Checkin, document), [by]);
    },
    log: (change = {}) => {
      const document: LogDocument = {
        type: "nix-ota/log",
        v: 1,
        ...who,
        seq: 1,
        at: AT,
        channel: "prod",
        revision: 7,
        digest: `sha256:${"0".repeat(64)}`,
        log: "line\n",
        ...change,
      };
      return signEnvelope("log", formatDocument(LogDocument, document), [signer]);
    },
  };
}
