/** Check-ins: the hot path of the writer (protocol 4.3). */
import { type Chain, continueChain } from "./checkin_chain.ts";
import type { Database } from "./database.ts";
import { prepareEvents } from "./events.ts";
import { type CheckedIn, type CheckinJob, type Refusal, refuse } from "./jobs.ts";
import { RESTAND } from "./standing.ts";

const FIND = `
SELECT d.id, d.fingerprint, d.status, d.channel, d.system, d.variant, d.clone_suspected,
  s.seq, s.nonce, s.previous_nonce, s.boot_id, s.earlier_boots, s.state_hash
FROM device AS d JOIN device_seen AS s ON s.device_id = d.id WHERE d.name = ?`;
const SEEN = `
UPDATE device_seen SET seen_ms = ?2, seq = ?3, nonce = ?4, previous_nonce = ?5, boot_id = ?6, earlier_boots = ?7,
  state_hash = ?8
WHERE device_id = ?1`;
const STORY = "SELECT story FROM device_state WHERE device_id = ?";
const STATE = `
INSERT INTO device_state (device_id, phase, target_digest, result, running, story, state) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET phase = excluded.phase, target_digest = excluded.target_digest, result = excluded.result,
  running = excluded.running, story = excluded.story, state = excluded.state`;
const MOVE = "UPDATE device SET channel = ?2, system = ?3, variant = ?4 WHERE id = ?1";
const SUSPECT = "UPDATE device SET clone_suspected = 1 WHERE id = ?";

interface Found {
  readonly id: number;
  readonly fingerprint: string;
  readonly status: string;
  readonly channel: string;
  readonly system: string;
  readonly variant: string;
  readonly clone_suspected: number;
  readonly seq: number;
  readonly nonce: string;
  readonly previous_nonce: string;
  readonly boot_id: string;
  readonly earlier_boots: string;
  readonly state_hash: string;
}

function prepareStatements(db: Database) {
  return {
    find: db.prepare(FIND),
    seen: db.prepare(SEEN),
    story: db.prepare(STORY),
    writeState: db.prepare(STATE),
    move: db.prepare(MOVE),
    suspect: db.prepare(SUSPECT),
    restand: db.prepare(RESTAND),
    record: prepareEvents(db),
  };
}

type Statements = ReturnType<typeof prepareStatements>;

/** Makes the function that keeps a check-in. */
export function prepareCheckin(db: Database): (job: CheckinJob) => CheckedIn | Refusal {
  const sql = prepareStatements(db);
  return (job) => {
    // The row's columns are those of FIND.
    const found = sql.find.get(job.name) as unknown as Found | undefined;
    if (found === undefined || found.fingerprint !== job.fingerprint) return refuseUnknown(job.name);
    if (found.status === "rejected") return refuseRejected(job.name);
    const step = continueChain(chainOf(found), job, job.newNonce);
    if (step.kind !== "continued") return refuseBroken(step.kind, job, found);
    const { chain: { seq, nonce, previousNonce, bootId, earlierBoots }, returnedBoot } = step;
    const { hash } = job.state;
    sql.seen.run(found.id, job.nowMs, seq, nonce, previousNonce, bootId, earlierBoots.join(" "), hash);
    const stateChanged = hash !== found.state_hash;
    const told = stateChanged && keepState(sql, job, found);
    const moved = keepFacts(sql, job, found);
    if (stateChanged || moved) sql.restand.run(found.id);
    const cloneFound = returnedBoot && found.clone_suspected === 0;
    if (cloneFound) keepSuspicion(sql, job, found);
    const status = found.status === "accepted" ? "accepted" : "pending";
    return { kind: "checked_in", status, changed: stateChanged || moved || cloneFound, told, cloneFound };
  };
}

function chainOf({ seq, nonce, previous_nonce, boot_id, earlier_boots }: Found): Chain {
  const earlierBoots = earlier_boots === "" ? [] : earlier_boots.split(" ");
  return { seq, nonce, previousNonce: previous_nonce, bootId: boot_id, earlierBoots };
}

/** Keeps a state that changed; answers whether its story did. */
function keepState(sql: Statements, { state, nowMs, name, facts }: CheckinJob, { id }: Found): boolean {
  const before = sql.story.get(id)?.["story"];
  const { phase, targetDigest, result, running, story, json } = state;
  sql.writeState.run(id, phase, targetDigest, result, running, story, json);
  if (before === story) return false;
  const { channel } = facts;
  sql.record({ atMs: nowMs, kind: "device_state", deviceId: id, channel, actor: name, detail: story });
  return true;
}

/** Follows a device to the channel and the kind that it signs to be of; answers whether it moved. */
function keepFacts(sql: Statements, job: CheckinJob, found: Found): boolean {
  const { channel, system, variant } = job.facts;
  if (channel === found.channel && system === found.system && variant === found.variant) return false;
  sql.move.run(found.id, channel, system, variant);
  const detail = JSON.stringify({
    from: { channel: found.channel, system: found.system, variant: found.variant },
    to: job.facts,
  });
  sql.record({ atMs: job.nowMs, kind: "device_moved", deviceId: found.id, channel, actor: job.name, detail });
  return true;
}

function keepSuspicion(sql: Statements, { nowMs, name, bootId, facts: { channel } }: CheckinJob, { id }: Found): void {
  sql.suspect.run(id);
  sql.record({ atMs: nowMs, kind: "clone_suspected", deviceId: id, channel, actor: name, detail: bootId });
}

/** The name is not enrolled, or no longer with that key. */
export function refuseUnknown(name: string): Refusal {
  return refuse("device_unknown", `Cannot take a report of the device "${name}" as it is not enrolled with that key`);
}

/** An operator rejected the device. */
export function refuseRejected(name: string): Refusal {
  return refuse("device_rejected", `Cannot take a report of the device "${name}" as an operator rejected it`);
}

/** The members let an honest device go on: only one with the key can sign what continues from them. */
function refuseBroken(kind: "replayed" | "stale", job: CheckinJob, { nonce, seq }: Found): Refusal {
  if (kind === "replayed") {
    return refuse(
      "checkin_replayed",
      `Cannot take check-in ${job.seq} of the device "${job.name}" as ${seq} was already received: wanted a higher one`,
      { nonce, seq },
    );
  }
  return refuse(
    "nonce_stale",
    `Cannot take check-in ${job.seq} of the device "${job.name}" as its nonce is not from one of the last two answers ` +
      "(continue with the nonce given here)",
    { nonce, seq },
  );
}
