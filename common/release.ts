/**
 * The release: what operators sign and devices run (protocol 2.1).
 * @module
 */
import type { Bytes } from "./canonical.ts";
import { formatDocument, parsePayload } from "./document.ts";
import { Digest, Name, NarHash, Revision, StorePath, SystemName, text, Timestamp } from "./names.ts";
import { array, type Infer, integer, literal, nullable, oneOf, type Parser, record, SchemaError } from "./schema.ts";
import { Substituter } from "./substituter.ts";
import { parseTimestamp } from "./time.ts";

/** Most targets in one release (protocol 2.1). */
export const TARGETS_MAX = 1024;
/** Most substituters in one release (protocol 2.1). */
export const SUBSTITUTERS_MAX = 8;
/** Longest time from `issued` to `expires` (protocol 2.1), in milliseconds: 400 days. */
export const VALIDITY_MAX_MS = 400 * 86_400_000;
/** Most paths that a closure may have: a full desktop system has some 5,000. */
export const CLOSURE_PATHS_MAX = 65_536;
/** Longest notes in UTF-16 code units (protocol 2.1). */
export const NOTES_MAX = 1024;

/** How a device takes a release on (protocol 2.1): `auto` lets it choose between switching now and booting into it. */
export const APPLY_MODES = ["auto", "switch", "boot", "reboot"] as const;
/** One of {@link APPLY_MODES}. */
export type ApplyMode = typeof APPLY_MODES[number];

const Closure = record({
  paths: integer(1, CLOSURE_PATHS_MAX),
  /** Sum of the NAR sizes in bytes. */
  narSize: integer(1),
  digest: Digest,
});

/** What one kind of device is to run (protocol 2.1). */
export type Target = Infer<typeof TargetShape>;
const TargetShape = record({
  system: SystemName,
  variant: Name,
  storePath: StorePath,
  narHash: NarHash,
  closure: Closure,
});

/** A release document (protocol 2.1). */
export type Release = Infer<typeof ReleaseShape>;
const ReleaseShape = record({
  type: literal("nix-ota/release"),
  v: literal(1),
  fleet: Name,
  channel: Name,
  revision: Revision,
  root: integer(0),
  prev: nullable(Digest),
  issued: Timestamp,
  expires: Timestamp,
  targets: array(TargetShape, { min: 1, max: TARGETS_MAX }),
  substituters: array(Substituter, { max: SUBSTITUTERS_MAX }),
  apply: record({ mode: oneOf(APPLY_MODES), healthSeconds: integer(30, 3600) }),
  notes: text(NOTES_MAX),
});

/**
 * Reads a release and checks what one field demands of another (protocol 2.1).
 * @throws {SchemaError} With the place.
 */
export const Release: Parser<Release> = (value: unknown, at: string): Release => {
  const release = ReleaseShape(value, at);
  const seen = new Set<string>();
  release.targets.forEach(({ system, variant }, index) => {
    const key = `${system} ${variant}`;
    if (seen.has(key)) {
      throw new SchemaError(`${at}.targets[${index}]`, `repeats the target for ${system}, variant ${variant}`);
    }
    seen.add(key);
  });
  const validMs = (parseTimestamp(release.expires) ?? 0) - (parseTimestamp(release.issued) ?? 0);
  if (validMs <= 0) throw new SchemaError(`${at}.expires`, `must be after issued (${release.issued})`);
  if (validMs > VALIDITY_MAX_MS) throw new SchemaError(`${at}.expires`, "must be at most 400 days after issued");
  return release;
};

/**
 * Reads the payload of a release envelope (protocol 2.1). Signatures are for {@link verifyRelease} to check.
 * @throws {OtaError} `payload_not_canonical` or `payload_invalid`.
 */
export function parseRelease(payload: Bytes): Release {
  return parsePayload(payload, Release);
}

/**
 * The canonical payload bytes of a release (protocol 1.3). The parser is run on it first, so nothing invalid is ever
 * signed.
 * @throws {SchemaError} If the parser refuses it.
 */
export function formatRelease(release: Release): Bytes {
  return formatDocument(Release, release);
}

/** The target for exactly this system and variant (protocol 2.1), or null. */
export function targetFor(release: Release, { system, variant }: { system: string; variant: string }): Target | null {
  return release.targets.find((target) => target.system === system && target.variant === variant) ?? null;
}
