/**
 * Keys and documents for tests: the same on every run.
 * @module
 */
import { type Bytes, encodeUtf8 } from "../canonical.ts";
import type { Checkin, Enrol, LogDocument } from "../checkin.ts";
import { type Envelope, formatEnvelope, signEnvelope } from "../envelope.ts";
import { type Signer, signerFromPkcs8 } from "../key.ts";
import { formatRelease, type Release } from "../release.ts";
import type { TrustClock, TrustPolicy } from "../trust.ts";
import { fromHex, pickNumber, seededRandom } from "./random.ts";

/** What stands before the 32 bytes of the seed in an Ed25519 PKCS#8 key (RFC 8410 section 7). */
export const PKCS8_PREFIX = fromHex("302e020100300506032b657004220420");

/** A signer whose private key is 32 times the byte `seed`. */
export function testSigner(seed: number, name: string | null = null): Promise<Signer> {
  const pkcs8 = new Uint8Array(PKCS8_PREFIX.length + 32).fill(seed);
  pkcs8.set(PKCS8_PREFIX);
  return signerFromPkcs8(pkcs8, name);
}

/** A store path of the right form; the same for the same name. */
export function testStorePath(name: string): string {
  const alphabet = "0123456789abcdfghijklmnpqrsvwxyz";
  const random = seededRandom(Array.from(name).reduce((sum, letter) => sum * 31 + (letter.codePointAt(0) ?? 0), 7));
  const hash = Array.from({ length: 32 }, () => alphabet[pickNumber(random, alphabet.length)]).join("");
  return `/nix/store/${hash}-${name}`;
}

/** A NAR hash of the right form. */
export const TEST_NAR_HASH = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

/** A valid cache key: the public key of RFC 8032's first test vector. */
export const TEST_CACHE_KEY = "cache.example.org-1:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

/** A valid release with what `change` says otherwise. */
export function testRelease(change: Partial<Release> = {}): Release {
  return {
    type: "nix-ota/release",
    v: 1,
    fleet: "default",
    channel: "prod",
    revision: 7,
    root: 0,
    prev: null,
    issued: "2026-01-01T00:00:00Z",
    expires: "2026-04-01T00:00:00Z",
    targets: [{
      system: "x86_64-linux",
      variant: "default",
      storePath: testStorePath("nixos-system-fridge-26.05"),
      narHash: TEST_NAR_HASH,
      closure: { paths: 3, narSize: 1234, digest: `sha256:${"ab".repeat(32)}` },
    }],
    substituters: [{ url: "https://cache.example.org", keys: [TEST_CACHE_KEY] }],
    apply: { mode: "auto", healthSeconds: 120 },
    notes: "",
    ...change,
  };
}

/** Milliseconds at which {@link testRelease} is valid: a month after `issued`. */
export const TEST_NOW_MS = Date.UTC(2026, 1, 1);

/** A clock that is set and right. */
export function testClock(change: Partial<TrustClock> = {}): TrustClock {
  return { systemMs: TEST_NOW_MS, synchronised: true, floorMs: 0, ...change };
}

/** A policy that trusts these signers for what {@link testRelease} is for. */
export function testPolicy(signers: readonly Signer[], change: Partial<TrustPolicy> = {}): TrustPolicy {
  return {
    fleet: "default",
    channel: "prod",
    keys: signers.map(({ publicKey }) => publicKey),
    threshold: signers.length,
    ...change,
  };
}

/** The bytes of an envelope. */
export function envelopeBytes(envelope: Envelope): Bytes {
  return encodeUtf8(formatEnvelope(envelope));
}

/** The bytes of a signed release. */
export async function signRelease(release: Release, signers: readonly Signer[]): Promise<Bytes> {
  return envelopeBytes(await signEnvelope("release", formatRelease(release), signers));
}

/** When the documents of a device were made. */
export const TEST_AT = "2026-01-15T08:30:00Z";

/** A valid check-in with every field that may be null filled in. */
export function testCheckin(change: Partial<Checkin> = {}): Checkin {
  const storePath = testStorePath("nixos-system-fridge-26.05");
  const digest = `sha256:${"cd".repeat(32)}`;
  return {
    type: "nix-ota/checkin",
    v: 1,
    fleet: "default",
    deviceId: "fridge-007",
    seq: 12,
    nonce: "n0-_N",
    bootId: "9f5cf0a8-6fd4-4c7e-9f2e-0a6b1de7a001",
    at: TEST_AT,
    clock: "synced",
    root: 0,
    channel: "prod",
    system: "x86_64-linux",
    variant: "default",
    seen: { revision: 7, digest },
    state: {
      phase: "staging",
      target: { revision: 7, digest, storePath },
      progress: { paths: 1, ofPaths: 3, bytes: 100, ofBytes: 1234 },
      since: TEST_AT,
      result: "rolled_back",
      reason: "health_failed:exit 3",
      detail: "the door sensor did not answer",
      running: storePath,
      booted: storePath,
      profile: storePath,
      bootDefault: storePath,
      needsReboot: false,
      inhibitors: ["a backup is running"],
      failedUnits: ["sensor.service"],
      disk: { free: 1, total: 2 },
      kernel: "6.12.1",
      nixosVersion: "26.05",
      agent: "0.1.0",
    },
    ...change,
  };
}

/** A valid enrolment; its key is RFC 8032's first. */
export function testEnrol(change: Partial<Enrol> = {}): Enrol {
  return {
    type: "nix-ota/enrol",
    v: 1,
    fleet: "default",
    deviceId: "fridge-007",
    channel: "prod",
    publicKey: TEST_CACHE_KEY.split(":")[1] ?? "",
    facts: {
      system: "x86_64-linux",
      variant: "default",
      hostname: "fridge",
      nixosVersion: "26.05",
      kernel: "6.12.1",
      machine: "ef".repeat(32),
      agent: "0.1.0",
    },
    token: "nota_enrol_x",
    at: TEST_AT,
    ...change,
  };
}

/** A valid log document. */
export function testLogDocument(change: Partial<LogDocument> = {}): LogDocument {
  return {
    type: "nix-ota/log",
    v: 1,
    fleet: "default",
    deviceId: "fridge-007",
    seq: 13,
    at: TEST_AT,
    channel: "prod",
    revision: 7,
    digest: `sha256:${"cd".repeat(32)}`,
    log: "activating the configuration...\n",
    ...change,
  };
}
