/** Check-ins: the hot path of the writer (protocol 4.3). */
import { continueChain } from "./checkin_chain.ts";
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

/** Makes the function that keeps a check-in. */
export function prepareCheckin(db: Database): (job: CheckinJob) => CheckedIn | Refusal {
  const find = db.prepare(FIND);
  const seen = db.prepare(SEEN);
  const story = db.prepare(STORY);
  const writeState = db.prepare(STATE);
  const move = db.prepare(MOVE);
  const suspect = db.prepare(SUSPECT);
  const restand = db.prepare(RESTAND);
  const record = prepareEvents(db);

  /** Keeps the state where it changed; answers whether its story did. */
  function keepState(job: CheckinJob, found: Found): boolean {
    const { state } = job;
    const before = story.get(found.id)?.["story"];
    writeState.run(
      found.id,
      state.phase,
      state.targetDigest,
      state.result,
      state.running,
      state.story,
      state.json,
    );
    if (before === state.story) return false;
    const { channel } = job.facts;
    record({
      atMs: job.nowMs,
      kind: "device_state",
      deviceId: found.id,
      channel,
      actor: job.name,
      detail: state.story,
    });
    return true;
  }

  /** Follows a device to the channel and the kind that it signs to be of. */
  function keepFacts(job: CheckinJob, found: Found): boolean {
    const { channel, system, variant } = job.facts;
    if (channel === found.channel && system === found.system && variant === found.variant) return false;
    move.run(found.id, channel, system, variant);
    const detail = JSON.stringify({
      from: { channel: found.channel, system: found.system, variant: found.variant },
      to: job.facts,
    });
    record({ atMs: job.nowMs, kind: "device_moved", deviceId: found.id, channel, actor: job.name, detail });
    return true;
  }

  function keepSuspicion(job: CheckinJob, found: Found): void {
    suspect.run(found.id);
    record({
      atMs: job.nowMs,
      kind: "clone_suspected",
      deviceId: found.id,
      channel: job.facts.channel,
      actor: job.name,
      detail: job.bootId,
    });
  }

  return (job) => {
    // The row's columns are those of FIND.
    const found = find.get(job.name) as unknown as Found | undefined;
    if (found === undefined || found.fingerprint !== job.fingerprint) return refuseUnknown(job.name);
    if (found.status === "rejected") return refuseRejected(job.name);
    const step = continueChain(
      {
        seq: found.seq,
        nonce: found.nonce,
        previousNonce: found.previous_nonce,
        bootId: found.boot_id,
        earlierBoots: found.earlier_boots === "" ? [] : found.earlier_boots.split(" "),
      },
      job,
      job.newNonce,
    );
    if (step.kind !== "continued") return refuseBroken(step.kind, job, found);
    const { chain } = step;
    const stateChanged = job.state.hash !== found.state_hash;
    seen.run(
      found.id,
      job.nowMs,
      chain.seq,
      chain.nonce,
      chain.previousNonce,
      chain.bootId,
      chain.earlierBoots.join(" "),
      job.state.hash,
    );
    const told = stateChanged && keepState(job, found);
    const moved = keepFacts(job, found);
    if (stateChanged || moved) restand.run(found.id);
    const cloneFound = step.returnedBoot && found.clone_suspected === 0;
    if (cloneFound) keepSuspicion(job, found);
    return {
      kind: "checked_in",
      status: found.status === "accepted" ? "accepted" : "pending",
      changed: stateChanged || moved || cloneFound,
      told,
      cloneFound,
    };
  };
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
