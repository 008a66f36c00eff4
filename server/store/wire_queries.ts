/** What devices and publishers read: releases as they were sent, keys, listings. */
import { type Bytes, formatEtag } from "@nix-ota/common";
import type { Database } from "./database.ts";
import { preparePinnedKeys } from "./pins.ts";

/** A release as devices get it. */
export interface StoredRelease {
  readonly channel: string;
  readonly revision: number;
  readonly digest: string;
  readonly etag: string;
  /** The envelope, byte for byte as it was published. */
  readonly envelope: string;
}

/** What is needed to check who a device is. */
export interface DeviceIdentity {
  readonly name: string;
  readonly publicKey: Bytes;
  readonly fingerprint: string;
  readonly status: "pending" | "accepted" | "rejected";
}

/** One target of one release. */
export interface TargetAddress {
  readonly channel: string;
  readonly revision: number;
  readonly system: string;
  readonly variant: string;
}

const HEAD = `
SELECT r.channel, r.revision, r.digest, r.envelope FROM channel AS c
JOIN release AS r ON r.channel = c.name AND r.revision = c.head_revision WHERE c.name = ?`;
const RELEASE = "SELECT channel, revision, digest, envelope FROM release WHERE channel = ? AND revision = ?";
const DEVICE = "SELECT name, public_key, fingerprint, status FROM device WHERE name = ?";
const CLOSURE = `
SELECT closure_digest FROM release_target WHERE channel = ? AND revision = ? AND system = ? AND variant = ?`;
const LISTING = "SELECT listing FROM closure_listing WHERE digest = ?";
const META = "SELECT value FROM meta WHERE key = ?";

/** Queries of the wire routes. */
export interface WireQueries {
  head(channel: string): StoredRelease | null;
  release(channel: string, revision: number): StoredRelease | null;
  identity(name: string): DeviceIdentity | null;
  /** The signed digest of a target's closure, or null where there is no such target. */
  closureDigest(target: TargetAddress): string | null;
  listing(digest: string): string | null;
  /** Raw base64 keys pinned by the first publish, or null. */
  pinnedKeys(): readonly string[] | null;
  meta(key: string): string | null;
}

/** Prepares the queries on a read-only connection. */
export function prepareWireQueries(db: Database): WireQueries {
  const head = db.prepare(HEAD);
  const release = db.prepare(RELEASE);
  const device = db.prepare(DEVICE);
  const closure = db.prepare(CLOSURE);
  const listing = db.prepare(LISTING);
  const meta = db.prepare(META);
  return {
    head: (channel) => toRelease(head.get(channel)),
    release: (channel, revision) => toRelease(release.get(channel, revision)),
    identity: (name) => {
      const row = device.get(name);
      if (row === undefined) return null;
      return {
        name,
        publicKey: row["public_key"] as Bytes, // A blob of 32 bytes, by the schema.
        fingerprint: String(row["fingerprint"]),
        status: row["status"] as DeviceIdentity["status"], // By the schema.
      };
    },
    closureDigest: ({ channel, revision, system, variant }) =>
      text(closure.get(channel, revision, system, variant)?.["closure_digest"]),
    listing: (digest) => text(listing.get(digest)?.["listing"]),
    pinnedKeys: preparePinnedKeys(db),
    meta: (key) => text(meta.get(key)?.["value"]),
  };
}

function text(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}

function toRelease(row: Record<string, unknown> | undefined): StoredRelease | null {
  if (row === undefined) return null;
  const digest = String(row["digest"]);
  return {
    channel: String(row["channel"]),
    revision: Number(row["revision"]),
    digest,
    etag: formatEtag(digest),
    envelope: String(row["envelope"]),
  };
}
