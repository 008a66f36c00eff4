/** Logs of activations (protocol 4.7): the last few of each device. */
import { refuseRejected, refuseUnknown } from "./checkin_job.ts";
import type { Database } from "./database.ts";
import { type Logged, type LogJob, type Refusal, refuse } from "./jobs.ts";

/** Logs kept of one device: 5 of at most 64 KiB; who needs more reads the journal on the device. */
export const LOGS_PER_DEVICE = 5;

const FIND = `
SELECT d.id, d.fingerprint, d.status, COALESCE((SELECT MAX(seq) FROM device_log AS l WHERE l.device_id = d.id), 0) AS seq
FROM device AS d WHERE d.name = ?`;
const INSERT = `
INSERT INTO device_log (device_id, seq, at_ms, channel, revision, digest, log) VALUES (?, ?, ?, ?, ?, ?, ?)`;
const TRIM = `
DELETE FROM device_log WHERE device_id = ?1 AND seq <= (
  SELECT seq FROM device_log WHERE device_id = ?1 ORDER BY seq DESC LIMIT 1 OFFSET ?2
)`;

interface Found {
  readonly id: number;
  readonly fingerprint: string;
  readonly status: string;
  readonly seq: number;
}

/** Makes the function that keeps a log. */
export function prepareLog(db: Database): (job: LogJob) => Logged | Refusal {
  const find = db.prepare(FIND);
  const insert = db.prepare(INSERT);
  const trim = db.prepare(TRIM);
  return (job) => {
    // The row's columns are those of FIND.
    const found = find.get(job.name) as unknown as Found | undefined;
    if (found === undefined || found.fingerprint !== job.fingerprint) return refuseUnknown(job.name);
    if (found.status === "rejected") return refuseRejected(job.name);
    if (found.status === "pending") {
      return refuse("device_pending", `Cannot take a log of the device "${job.name}" before an operator accepts it`);
    }
    if (job.seq === found.seq) return { kind: "logged" }; // Sent again, as its answer was lost.
    if (job.seq < found.seq) {
      return refuse(
        "checkin_replayed",
        `Cannot take log ${job.seq} of the device "${job.name}" as ${found.seq} was already received`,
        { seq: found.seq },
      );
    }
    insert.run(found.id, job.seq, job.nowMs, job.channel, job.revision, job.digest, job.log);
    trim.run(found.id, LOGS_PER_DEVICE);
    return { kind: "logged" };
  };
}
