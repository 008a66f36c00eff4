/** Publishing: a verified release becomes its channel's current one (protocol 5.2). */
import type { Database } from "./database.ts";
import { prepareEvents } from "./events.ts";
import { type Published, type PublishJob, type Refusal, refuse } from "./jobs.ts";
import { preparePins } from "./pins.ts";
import { RESTAND_CHANNEL } from "./standing.ts";

const HEAD = `
SELECT r.revision, r.digest FROM channel AS c
JOIN release AS r ON r.channel = c.name AND r.revision = c.head_revision WHERE c.name = ?`;
const SAME = "SELECT 1 FROM release WHERE channel = ? AND revision = ? AND digest = ?";
const COUNT_CHANNELS = "SELECT COUNT(*) AS channels FROM channel";
const INSERT = `
INSERT INTO release (channel, revision, digest, issued, expires, notes, mode, signers, published_ms, envelope)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`;
const INSERT_TARGET = `
INSERT INTO release_target (channel, revision, system, variant, store_path, paths, nar_size, closure_digest)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)`;
const SET_HEAD = `
INSERT INTO channel (name, head_revision) VALUES (?, ?)
ON CONFLICT DO UPDATE SET head_revision = excluded.head_revision`;

interface Head {
  readonly revision: number;
  readonly digest: string;
}

/** Makes the function that keeps a release. */
export function preparePublish(db: Database): (job: PublishJob) => Published | Refusal {
  const headOf = db.prepare(HEAD);
  const same = db.prepare(SAME);
  const countChannels = db.prepare(COUNT_CHANNELS);
  const insert = db.prepare(INSERT);
  const insertTarget = db.prepare(INSERT_TARGET);
  const setHead = db.prepare(SET_HEAD);
  const restand = db.prepare(RESTAND_CHANNEL);
  const pinKeys = preparePins(db);
  const record = prepareEvents(db);

  function refusal({ release, digest, channelsMax }: PublishJob, head: Head | undefined): Refusal | null {
    const { channel, revision } = release;
    if (head === undefined) {
      if (Number(countChannels.get()?.["channels"]) < channelsMax) return null;
      return refuse("forbidden", `Cannot open the channel "${channel}" as the server already has ${channelsMax}`);
    }
    if (revision <= head.revision) {
      return refuse(
        "revision_conflict",
        `Cannot publish revision ${revision} on "${channel}" as its highest is ${head.revision}: wanted a higher one ` +
          `(found ${digest})`,
        { highest: head.revision, digest: head.digest },
      );
    }
    if (release.prev === head.digest) return null;
    return refuse(
      "prev_mismatch",
      `Cannot publish revision ${revision} on "${channel}" as it follows ${release.prev ?? "nothing"}: the current ` +
        `release is ${head.digest} (someone published in between: publish again)`,
      { revision: head.revision, digest: head.digest },
    );
  }

  function keep(job: PublishJob): void {
    const { release, digest } = job;
    const { channel, revision } = release;
    insert.run(
      channel,
      revision,
      digest,
      release.issued,
      release.expires,
      release.notes,
      release.apply.mode,
      JSON.stringify(job.signers),
      job.nowMs,
      job.envelope,
    );
    for (const { system, variant, storePath, closure } of release.targets) {
      insertTarget.run(
        channel,
        revision,
        system,
        variant,
        storePath,
        closure.paths,
        closure.narSize,
        closure.digest,
      );
    }
    setHead.run(channel, revision);
    restand.run(channel, revision);
    record({
      atMs: job.nowMs,
      kind: "release_published",
      deviceId: null,
      channel,
      actor: job.actor,
      detail: JSON.stringify({ revision, digest, signers: job.signers }),
    });
  }

  return (job) => {
    const { channel, revision } = job.release;
    if (same.get(channel, revision, job.digest)) return { kind: "published", isNew: false };
    // The row's columns are those of HEAD.
    const refused = refusal(job, headOf.get(channel) as unknown as Head | undefined) ?? pinKeys(job);
    if (refused !== null) return refused;
    keep(job);
    return { kind: "published", isNew: true };
  };
}
