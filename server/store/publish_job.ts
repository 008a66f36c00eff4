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

function prepareStatements(db: Database) {
  return {
    head: db.prepare(HEAD),
    same: db.prepare(SAME),
    countChannels: db.prepare(COUNT_CHANNELS),
    insert: db.prepare(INSERT),
    insertTarget: db.prepare(INSERT_TARGET),
    setHead: db.prepare(SET_HEAD),
    restand: db.prepare(RESTAND_CHANNEL),
    record: prepareEvents(db),
  };
}

type Statements = ReturnType<typeof prepareStatements>;

/** Makes the function that keeps a release. */
export function preparePublish(db: Database): (job: PublishJob) => Published | Refusal {
  const sql = prepareStatements(db);
  const pinKeys = preparePins(db);
  return (job) => {
    const { channel, revision } = job.release;
    if (sql.same.get(channel, revision, job.digest)) return { kind: "published", isNew: false };
    const refused = checkOrder(sql, job) ?? pinKeys(job);
    if (refused !== null) return refused;
    keep(sql, job);
    return { kind: "published", isNew: true };
  };
}

/** Whether the release may follow the channel's current one. */
function checkOrder(sql: Statements, { release, digest, channelsMax }: PublishJob): Refusal | null {
  const { channel, revision, prev } = release;
  // The row's columns are those of HEAD.
  const head = sql.head.get(channel) as unknown as Head | undefined;
  if (head === undefined) {
    if (Number(sql.countChannels.get()?.["channels"]) < channelsMax) return null;
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
  if (prev === head.digest) return null;
  return refuse(
    "prev_mismatch",
    `Cannot publish revision ${revision} on "${channel}" as it follows ${prev ?? "nothing"}: the current release is ` +
      `${head.digest} (someone published in between: publish again)`,
    { revision: head.revision, digest: head.digest },
  );
}

function keep(sql: Statements, { release, digest, signers, nowMs, envelope, actor }: PublishJob): void {
  const { channel, revision, issued, expires, notes, apply: { mode } } = release;
  sql.insert.run(channel, revision, digest, issued, expires, notes, mode, JSON.stringify(signers), nowMs, envelope);
  for (const { system, variant, storePath, closure } of release.targets) {
    const { paths, narSize, digest: closureDigest } = closure;
    sql.insertTarget.run(channel, revision, system, variant, storePath, paths, narSize, closureDigest);
  }
  sql.setHead.run(channel, revision);
  sql.restand.run(channel, revision);
  const detail = JSON.stringify({ revision, digest, signers });
  sql.record({ atMs: nowMs, kind: "release_published", deviceId: null, channel, actor, detail });
}
