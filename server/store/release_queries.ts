/** Releases as operators see them, and how each is doing. */
import type { ReleasePage, ReleaseProgress, ReleaseRow, Standing } from "@nix-ota/common";
import type { ReleaseQuery } from "../fleet_reader.ts";
import { addRow, emptyTally, prepareCounts } from "./counts.ts";
import type { Database } from "./database.ts";
import { prepareDevicePages } from "./device_pages.ts";
import { prepareRows } from "./rows.ts";

const PAGE = "SELECT id FROM release WHERE revision < ? ORDER BY revision DESC, channel LIMIT ?";
const PAGE_OF_CHANNEL = "SELECT id FROM release WHERE channel = ? AND revision < ? ORDER BY revision DESC LIMIT ?";
const FIND = `
SELECT r.id, r.revision = c.head_revision AS is_head FROM release AS r JOIN channel AS c ON c.name = r.channel
WHERE r.channel = ? AND r.revision = ?`;
const OLD_COUNTS = `
SELECT standing, COUNT(*) AS devices FROM device_release WHERE channel = ? AND revision = ? GROUP BY standing`;
// Whoever merely waits has a newer release to wait for.
const OLD_NOTABLE = `
SELECT device_id AS id FROM device_release WHERE channel = ? AND revision = ? AND standing IN ('failed', 'updating')
ORDER BY standing, name LIMIT ?`;

/** What an operator wants to know first about devices that are not current. */
const WORST_FIRST: readonly Standing[] = ["failed", "no_target", "updating", "waiting", "pending"];

/** Queries about releases. */
export interface ReleaseQueries {
  releases(query: ReleaseQuery): ReleasePage;
  release(channel: string, revision: number): ReleaseRow | null;
  progress(channel: string, revision: number, notableMax: number): ReleaseProgress | null;
}

/** Prepares the queries. */
export function prepareReleaseQueries(db: Database): ReleaseQueries {
  const rows = prepareRows(db);
  const find = db.prepare(FIND);
  const progressOf = { head: prepareHeadProgress(db), old: prepareOldProgress(db) };

  function findRelease(channel: string, revision: number): { row: ReleaseRow; isHead: boolean } | null {
    const found = find.get(channel, revision);
    const row = found === undefined ? null : rows.release(Number(found["id"]));
    return row === null ? null : { row, isHead: found?.["is_head"] === 1 };
  }

  return {
    releases: prepareReleasePages(db),
    release: (channel, revision) => findRelease(channel, revision)?.row ?? null,
    progress: (channel, revision, notableMax) => {
      const found = findRelease(channel, revision);
      if (found === null) return null;
      const { isHead, row: { digest } } = found;
      const rest = isHead ? progressOf.head(channel, notableMax) : progressOf.old(channel, revision, notableMax);
      return { channel, revision, digest, isHead, ...rest };
    },
  };
}

function prepareReleasePages(db: Database): (query: ReleaseQuery) => ReleasePage {
  const rows = prepareRows(db);
  const page = db.prepare(PAGE);
  const pageOfChannel = db.prepare(PAGE_OF_CHANNEL);
  return ({ channel, before, limit }) => {
    const below = before ?? Number.MAX_SAFE_INTEGER;
    const ids = channel === null ? page.all(below, limit + 1) : pageOfChannel.all(channel, below, limit + 1);
    const found = ids.map((row) => rows.release(Number(row["id"]))).filter((row) => row !== null);
    const rest = found[limit];
    if (rest === undefined) return { releases: found, next: null };
    // The next page begins below a revision, so one that several channels share must not be split between pages.
    const whole = found.filter(({ revision }) => revision > rest.revision);
    const releases = whole.length > 0 ? whole : found.slice(0, limit);
    return { releases, next: releases.at(-1)?.revision ?? null };
  };
}

type Progress = Pick<ReleaseProgress, "counts" | "notable">;

function prepareHeadProgress(db: Database): (channel: string, notableMax: number) => Progress {
  const rows = prepareRows(db);
  const counts = prepareCounts(db);
  const pages = prepareDevicePages(db);
  return (channel, notableMax) => {
    const ids = WORST_FIRST.flatMap((standing) => pages({ channel, standing, after: null, limit: notableMax }));
    const notable = ids.slice(0, notableMax).map((id) => rows.device(id)).filter((row) => row !== null);
    return { counts: counts().of(channel), notable };
  };
}

/** No counter is kept of releases that are over: this looks at every device of the channel. */
function prepareOldProgress(db: Database): (channel: string, revision: number, notableMax: number) => Progress {
  const rows = prepareRows(db);
  const counts = db.prepare(OLD_COUNTS);
  const notable = db.prepare(OLD_NOTABLE);
  return (channel, revision, notableMax) => {
    const tally = emptyTally();
    for (const row of counts.all(channel, revision)) addRow(tally, row);
    const devices = notable.all(channel, revision, notableMax).map((row) => rows.device(Number(row["id"])));
    return { counts: tally, notable: devices.filter((row) => row !== null) };
  };
}
