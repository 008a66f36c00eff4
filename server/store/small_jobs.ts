/** Jobs of a few lines: the fleet's name, a probe, closure listings, operators' decisions, pruning. */
import type { Database } from "./database.ts";
import { prepareEvents } from "./events.ts";
import {
  type Claimed,
  type ClaimJob,
  type Decided,
  type DecideJob,
  type Listed,
  type ListingJob,
  type Probed,
  type ProbeJob,
  type Pruned,
  type PruneJob,
  type Refusal,
  refuse,
} from "./jobs.ts";
import { RESTAND } from "./standing.ts";

const FIND_FLEET = "SELECT value FROM meta WHERE key = 'fleet'";
const CLAIM = "INSERT INTO meta (key, value) VALUES ('fleet', ?)";

/** Makes the function that binds the database to one fleet: devices of two would share names and floors. */
export function prepareClaim(db: Database): (job: ClaimJob) => Claimed | Refusal {
  const find = db.prepare(FIND_FLEET);
  const claim = db.prepare(CLAIM);
  return ({ fleet }) => {
    const found = find.get()?.["value"];
    if (found === undefined) claim.run(fleet);
    else if (found !== fleet) {
      return refuse(
        "fleet_mismatch",
        `Cannot serve the fleet "${fleet}" as the data directory is that of "${found}" (give --fleet ${found}, or ` +
          "another --data-dir)",
      );
    }
    return { kind: "claimed" };
  };
}

const PROBE = `
INSERT INTO meta (key, value) VALUES ('probed_ms', ?) ON CONFLICT DO UPDATE SET value = excluded.value`;

/** Makes the function that writes something small, to see that it can be. */
export function prepareProbe(db: Database): (job: ProbeJob) => Probed {
  const probe = db.prepare(PROBE);
  return ({ nowMs }) => {
    probe.run(String(nowMs));
    return { kind: "probed" };
  };
}

const INSERT_LISTING = "INSERT INTO closure_listing (digest, listing) VALUES (?, ?) ON CONFLICT DO NOTHING";

/** Makes the function that keeps a closure listing (protocol 5.3). */
export function prepareListing(db: Database): (job: ListingJob) => Listed {
  const insert = db.prepare(INSERT_LISTING);
  return ({ digest, listing }) => ({ kind: "listed", isNew: insert.run(digest, listing).changes > 0 });
}

const FIND_DEVICE = "SELECT id, fingerprint, status, channel, clone_suspected FROM device WHERE name = ?";
const SET_STATUS = "UPDATE device SET status = ?, clone_suspected = 0 WHERE id = ?";

interface Found {
  readonly id: number;
  readonly fingerprint: string;
  readonly status: string;
  readonly channel: string;
  readonly clone_suspected: number;
}

/** Makes the function that keeps what an operator decided about a device. Deciding again ends the suspicion of a clone. */
export function prepareDecide(db: Database): (job: DecideJob) => Decided | Refusal {
  const find = db.prepare(FIND_DEVICE);
  const setStatus = db.prepare(SET_STATUS);
  const restand = db.prepare(RESTAND);
  const record = prepareEvents(db);
  return ({ name, fingerprint, status, nowMs, actor }) => {
    // The row's columns are those of FIND_DEVICE.
    const found = find.get(name) as unknown as Found | undefined;
    if (found === undefined) return refuse("not_found", `Cannot find a device named "${name}"`);
    if (found.fingerprint !== fingerprint) {
      return refuse(
        "fingerprint_mismatch",
        `Cannot decide about the device "${name}" as its key is ${found.fingerprint}: the decision is for ${fingerprint}`,
        { fingerprint: found.fingerprint },
      );
    }
    if (found.status === status && found.clone_suspected === 0) return { kind: "decided", changed: false };
    setStatus.run(status, found.id);
    restand.run(found.id);
    record({
      atMs: nowMs,
      kind: `device_${status}`,
      deviceId: found.id,
      channel: found.channel,
      actor,
      detail: fingerprint,
    });
    return { kind: "decided", changed: true };
  };
}

/** Rows that one pruning takes: 500 hold the writer for some 15 ms. */
const PRUNE_CHUNK = 500;
// Events are in the order of time, so the oldest are found by their id without an index on the time.
const PRUNE_EVENTS = `
DELETE FROM event WHERE id IN (SELECT id FROM event ORDER BY id LIMIT ?1) AND at_ms < ?2`;
const PRUNE_PENDING = `
DELETE FROM device WHERE id IN (
  SELECT d.id FROM device AS d JOIN device_seen AS s ON s.device_id = d.id
  WHERE d.standing = 'pending' AND COALESCE(s.seen_ms, d.enrolled_ms) < ?2 LIMIT ?1
)`;

// Strangers may name channels that nobody has, and be forgotten again.
const PRUNE_COUNTS = "DELETE FROM standing_count WHERE devices = 0";

/** Makes the function that removes old events, and devices that waited and then fell silent. */
export function preparePrune(db: Database): (job: PruneJob) => Pruned {
  const events = db.prepare(PRUNE_EVENTS);
  const pending = db.prepare(PRUNE_PENDING);
  const counts = db.prepare(PRUNE_COUNTS);
  return ({ eventsBeforeMs, pendingBeforeMs }) => {
    const pruned = {
      kind: "pruned",
      events: Number(events.run(PRUNE_CHUNK, eventsBeforeMs).changes),
      devices: Number(pending.run(PRUNE_CHUNK, pendingBeforeMs).changes),
    } as const;
    counts.run();
    return pruned;
  };
}
