/** Rows of the database as operators see them. */
import type { DeviceRow, ReleaseRow, Standing } from "@nix-ota/common";
import type { Database } from "./database.ts";

const DEVICE = `
SELECT d.name, d.fingerprint, d.status, d.channel, d.system, d.variant, d.hostname, d.enrolled_ms, d.standing,
  d.clone_suspected, s.seen_ms, t.state, (
    SELECT MAX(revision) FROM release_target AS r WHERE r.channel = d.channel AND r.store_path = t.running
  ) AS running_revision
FROM device AS d
JOIN device_seen AS s ON s.device_id = d.id
LEFT JOIN device_state AS t ON t.device_id = d.id
WHERE d.id = ?`;
const RELEASE = `
SELECT channel, revision, digest, issued, expires, notes, mode, signers, published_ms FROM release WHERE id = ?`;
const TARGETS = `
SELECT system, variant, store_path, paths, nar_size FROM release_target WHERE channel = ? AND revision = ?
ORDER BY system, variant`;

interface DeviceColumns {
  readonly name: string;
  readonly fingerprint: string;
  readonly status: DeviceRow["status"];
  readonly channel: string;
  readonly system: string;
  readonly variant: string;
  readonly hostname: string;
  readonly enrolled_ms: number;
  readonly standing: Standing;
  readonly clone_suspected: number;
  readonly seen_ms: number | null;
  readonly state: string | null;
  readonly running_revision: number | null;
}

interface ReleaseColumns {
  readonly channel: string;
  readonly revision: number;
  readonly digest: string;
  readonly issued: string;
  readonly expires: string;
  readonly notes: string;
  readonly mode: string;
  readonly signers: string;
  readonly published_ms: number;
}

interface TargetColumns {
  readonly system: string;
  readonly variant: string;
  readonly store_path: string;
  readonly paths: number;
  readonly nar_size: number;
}

/** Reads one row by its number; null where it is gone. */
export interface Rows {
  device(id: number): DeviceRow | null;
  release(id: number): ReleaseRow | null;
}

/** Prepares the reading of rows. */
export function prepareRows(db: Database): Rows {
  const device = db.prepare(DEVICE);
  const release = db.prepare(RELEASE);
  const targets = db.prepare(TARGETS);
  return {
    device: (id) => {
      // The row's columns are those of DEVICE.
      const row = device.get(id) as unknown as DeviceColumns | undefined;
      return row === undefined ? null : toDevice(row);
    },
    release: (id) => {
      // The row's columns are those of RELEASE and TARGETS.
      const row = release.get(id) as unknown as ReleaseColumns | undefined;
      if (row === undefined) return null;
      return toRelease(row, targets.all(row.channel, row.revision) as unknown as TargetColumns[]);
    },
  };
}

function toDevice(row: DeviceColumns): DeviceRow {
  return {
    deviceId: row.name,
    fingerprint: row.fingerprint,
    status: row.status,
    channel: row.channel,
    system: row.system,
    variant: row.variant,
    hostname: row.hostname,
    enrolledMs: row.enrolled_ms,
    seenMs: row.seen_ms,
    // Written by the check-in job from a parsed state.
    state: row.state === null ? null : JSON.parse(row.state),
    standing: row.standing,
    runningRevision: row.running_revision,
    cloneSuspected: row.clone_suspected === 1,
  };
}

function toRelease(row: ReleaseColumns, targets: readonly TargetColumns[]): ReleaseRow {
  return {
    channel: row.channel,
    revision: row.revision,
    digest: row.digest,
    publishedMs: row.published_ms,
    issued: row.issued,
    expires: row.expires,
    notes: row.notes,
    mode: row.mode,
    // Written by the publish job.
    signers: JSON.parse(row.signers),
    targets: targets.map(({ system, variant, store_path, paths, nar_size }) => ({
      system,
      variant,
      storePath: store_path,
      paths,
      narSize: nar_size,
    })),
  };
}
