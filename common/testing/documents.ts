/**
 * Keys and documents for tests: the same on every run.
 * @module
 */
import { type Bytes, encodeUtf8 } from "../canonical.ts";
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
