/** Enrolment: a name is bound to a key (protocol 4.2). */
import type { Database } from "./database.ts";
import { prepareEvents } from "./events.ts";
import { type EnrolJob, type Enrolled, type Refusal, refuse } from "./jobs.ts";
import { RESTAND } from "./standing.ts";

const FIND = `
SELECT d.id, d.fingerprint, d.status, d.channel, d.system, d.variant, d.hostname, d.facts, s.nonce
FROM device AS d JOIN device_seen AS s ON s.device_id = d.id WHERE d.name = ?`;
const COUNT_PENDING = "SELECT COALESCE(SUM(devices), 0) AS pending FROM standing_count WHERE standing = 'pending'";
const INSERT = `
INSERT INTO device
  (name, public_key, fingerprint, status, standing, channel, system, variant, enrolled_ms, hostname, facts)
VALUES (?1, ?2, ?3, ?4, CASE ?4 WHEN 'pending' THEN 'pending' ELSE 'no_target' END, ?5, ?6, ?7, ?8, ?9, ?10)
RETURNING id`;
const INSERT_SEEN = `
INSERT INTO device_seen (device_id, seq, nonce, previous_nonce, boot_id, earlier_boots, state_hash)
VALUES (?, 0, ?, ?, '', '', '')`;
const UPDATE = `
UPDATE device SET status = ?2, channel = ?3, system = ?4, variant = ?5, hostname = ?6, facts = ?7 WHERE id = ?1`;
const DELETE = "DELETE FROM device WHERE id = ?";
/** One conflict a day and key is news; a thousand are noise that would push out other events. */
const CONFLICT_KNOWN = `
SELECT 1 FROM event WHERE device_id = ? AND kind = 'enrolment_conflict' AND detail = ? AND at_ms > ? LIMIT 1`;
const DAY_MS = 86_400_000;

interface Found {
  readonly id: number;
  readonly fingerprint: string;
  readonly status: string;
  readonly channel: string;
  readonly system: string;
  readonly variant: string;
  readonly hostname: string;
  readonly facts: string;
  readonly nonce: string;
}

function prepareStatements(db: Database) {
  return {
    find: db.prepare(FIND),
    countPending: db.prepare(COUNT_PENDING),
    insert: db.prepare(INSERT),
    insertSeen: db.prepare(INSERT_SEEN),
    update: db.prepare(UPDATE),
    remove: db.prepare(DELETE),
    conflictKnown: db.prepare(CONFLICT_KNOWN),
    restand: db.prepare(RESTAND),
    record: prepareEvents(db),
  };
}

type Statements = ReturnType<typeof prepareStatements>;

/** Makes the function that enrols a device. */
export function prepareEnrol(db: Database): (job: EnrolJob) => Enrolled | Refusal {
  const sql = prepareStatements(db);
  return (job) => {
    // The row's columns are those of FIND.
    const found = sql.find.get(job.name) as unknown as Found | undefined;
    if (found === undefined) return enrolNew(sql, job);
    if (found.fingerprint !== job.fingerprint) {
      if (found.status !== "rejected") return refuseOtherKey(sql, job, found);
      // A rejected key does not hold the name: else a stranger could keep the real device out for good.
      sql.remove.run(found.id);
      return enrolNew(sql, job);
    }
    if (found.status === "rejected") {
      return refuse("device_rejected", `Cannot enrol the device "${job.name}" as an operator rejected its key`);
    }
    return enrolAgain(sql, job, found);
  };
}

function enrolNew(sql: Statements, job: EnrolJob): Enrolled | Refusal {
  const { admission, name, fingerprint, nowMs, nonce, facts: { channel, system, variant } } = job;
  if (admission === "refused") {
    return refuse(
      "enrolment_refused",
      `Cannot enrol the device "${name}" without a valid enrolment token (this server asks for one)`,
    );
  }
  if (admission === "pending" && Number(sql.countPending.get()?.["pending"]) >= job.pendingMax) {
    return refuse(
      "enrolment_full",
      `Cannot enrol the device "${name}" as ${job.pendingMax} devices already wait for an operator`,
    );
  }
  const { publicKey, hostname, details } = job;
  const row = sql.insert.get(
    name,
    publicKey,
    fingerprint,
    admission,
    channel,
    system,
    variant,
    nowMs,
    hostname,
    details,
  );
  const id = Number(row?.["id"]);
  sql.insertSeen.run(id, nonce, nonce);
  sql.restand.run(id);
  sql.record({
    atMs: nowMs,
    kind: admission === "accepted" ? "device_enrolled" : "device_pending",
    deviceId: id,
    channel,
    actor: job.actor,
    detail: fingerprint,
  });
  return { kind: "enrolled", status: admission, nonce, changed: true };
}

function enrolAgain(sql: Statements, job: EnrolJob, found: Found): Enrolled {
  const { hostname, details, facts: { channel, system, variant } } = job;
  const status = found.status === "pending" && job.admission === "accepted" ? "accepted" : found.status;
  const changed = status !== found.status || channel !== found.channel || system !== found.system ||
    variant !== found.variant || hostname !== found.hostname || details !== found.facts;
  if (changed) {
    sql.update.run(found.id, status, channel, system, variant, hostname, details);
    sql.restand.run(found.id);
    sql.record({
      atMs: job.nowMs,
      kind: status === found.status ? "device_changed" : "device_enrolled",
      deviceId: found.id,
      channel,
      actor: job.actor,
      detail: job.fingerprint,
    });
  }
  return { kind: "enrolled", status: status === "accepted" ? "accepted" : "pending", nonce: found.nonce, changed };
}

function refuseOtherKey(sql: Statements, job: EnrolJob, found: Found): Refusal {
  if (!sql.conflictKnown.get(found.id, job.fingerprint, job.nowMs - DAY_MS)) {
    sql.record({
      atMs: job.nowMs,
      kind: "enrolment_conflict",
      deviceId: found.id,
      channel: found.channel,
      actor: job.actor,
      detail: job.fingerprint,
    });
  }
  return refuse(
    "device_id_taken",
    `Cannot enrol the device "${job.name}" with the key ${job.fingerprint} as another key holds that name ` +
      "(give the device another name, or reject the old key first)",
  );
}
