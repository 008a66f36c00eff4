/** What operators see, read from the database. */
import {
  type DevicePage,
  type DeviceRow,
  type Fleet,
  type ReleasePage,
  type ReleaseProgress,
  type ReleaseRow,
  type Standing,
  type StandingCounts,
  STANDINGS,
} from "@nix-ota/common";
import type { DeviceQuery, ReleaseQuery } from "../fleet_reader.ts";
import type { Database } from "./database.ts";
import { prepareRows } from "./rows.ts";

/** Channels on one glance: as many as the answer may have. Those with a release come first. */
export const CHANNELS_MAX = 256;

const COUNTS = "SELECT channel, standing, devices FROM standing_count WHERE devices > 0";
const CHANNELS = `
SELECT name, head_revision FROM channel
UNION ALL
SELECT DISTINCT channel, NULL FROM standing_count
WHERE devices > 0 AND standing NOT IN ('pending', 'rejected') AND channel NOT IN (SELECT name FROM channel)
LIMIT ?`;
const PAGE = "SELECT id FROM device WHERE name > ? ORDER BY name LIMIT ?";
const PAGE_CHANNEL = "SELECT id FROM device WHERE channel = ? AND name > ? ORDER BY name LIMIT ?";
const PAGE_BOTH = `
SELECT id, name FROM device WHERE channel = ? AND standing = ? AND name > ? ORDER BY name LIMIT ?`;
const CHANNELS_OF = "SELECT channel FROM standing_count WHERE standing = ? AND devices > 0";
const BY_NAME = "SELECT id FROM device WHERE name = ?";
const RELEASES = `
SELECT id FROM release WHERE revision < ? ORDER BY revision DESC, channel LIMIT ?`;
const RELEASES_CHANNEL = `
SELECT id FROM release WHERE channel = ? AND revision < ? ORDER BY revision DESC LIMIT ?`;
const RELEASE = `
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

/** Queries over one snapshot of the database each. */
export interface FleetQueries {
  fleet(at: { fleet: string; nowMs: number }): Fleet;
  devices(query: DeviceQuery): DevicePage;
  device(deviceId: string): DeviceRow | null;
  releases(query: ReleaseQuery): ReleasePage;
  release(channel: string, revision: number): ReleaseRow | null;
  progress(channel: string, revision: number, notableMax: number): ReleaseProgress | null;
}

/** Prepares the queries on a read-only connection. */
export function prepareFleetQueries(db: Database): FleetQueries {
  const rows = prepareRows(db);
  const counts = db.prepare(COUNTS);
  const channels = db.prepare(CHANNELS);
  const pageIds = preparePages(db);
  const byName = db.prepare(BY_NAME);
  const releasesOf = db.prepare(RELEASES_CHANNEL);
  const releasesAll = db.prepare(RELEASES);
  const findRelease = db.prepare(RELEASE);
  const oldCounts = db.prepare(OLD_COUNTS);
  const oldNotable = db.prepare(OLD_NOTABLE);

  function releaseRow(channel: string, revision: number): { release: ReleaseRow; isHead: boolean } | null {
    const found = findRelease.get(channel, revision);
    const release = found === undefined ? null : rows.release(Number(found["id"]));
    return release === null ? null : { release, isHead: found?.["is_head"] === 1 };
  }

  function countsOf(channel: string | null): StandingCounts {
    const out = emptyCounts();
    for (const row of counts.all()) {
      if (channel === null || row["channel"] === channel) add(out, String(row["standing"]), Number(row["devices"]));
    }
    return out;
  }

  function fleet({ fleet, nowMs }: { fleet: string; nowMs: number }): Fleet {
    const byChannel = new Map<string, Counts>();
    const all = emptyCounts();
    for (const row of counts.all()) {
      const name = String(row["channel"]);
      const own = byChannel.get(name) ?? emptyCounts();
      byChannel.set(name, own);
      add(own, String(row["standing"]), Number(row["devices"]));
      add(all, String(row["standing"]), Number(row["devices"]));
    }
    const list = channels.all(CHANNELS_MAX).map((row) => {
      const channel = String(row["name"]);
      const revision = row["head_revision"];
      const head = typeof revision === "number" ? releaseRow(channel, revision)?.release ?? null : null;
      return { channel, head, devices: byChannel.get(channel) ?? emptyCounts() };
    });
    return {
      fleet,
      serverMs: nowMs,
      channels: list.toSorted((a, b) => a.channel < b.channel ? -1 : 1),
      devices: all,
    };
  }

  function devices(query: DeviceQuery): DevicePage {
    // One more than asked for tells whether there is a next page.
    const found = pageIds({ ...query, limit: query.limit + 1 });
    const page = found.slice(0, query.limit).map((id) => rows.device(id)).filter((row) => row !== null);
    return { devices: page, next: found.length > query.limit ? page.at(-1)?.deviceId ?? null : null };
  }

  function releases({ channel, before, limit }: ReleaseQuery): ReleasePage {
    const below = before ?? Number.MAX_SAFE_INTEGER;
    const found = (channel === null ? releasesAll.all(below, limit + 1) : releasesOf.all(channel, below, limit + 1))
      .map((row) => rows.release(Number(row["id"]))).filter((row) => row !== null);
    const rest = found[limit];
    if (rest === undefined) return { releases: found, next: null };
    // The next page begins below a revision, so one that several channels share must not be split between pages.
    const whole = found.filter(({ revision }) => revision > rest.revision);
    const page = whole.length > 0 ? whole : found.slice(0, limit);
    return { releases: page, next: page.at(-1)?.revision ?? null };
  }

  function oldProgress(channel: string, revision: number, max: number): Pick<ReleaseProgress, "counts" | "notable"> {
    const tally = emptyCounts();
    for (const row of oldCounts.all(channel, revision)) add(tally, String(row["standing"]), Number(row["devices"]));
    const notable = oldNotable.all(channel, revision, max).map((row) => rows.device(Number(row["id"])));
    return { counts: tally, notable: notable.filter((row) => row !== null) };
  }

  function headProgress(channel: string, max: number): Pick<ReleaseProgress, "counts" | "notable"> {
    const notable = WORST_FIRST.flatMap((standing) => pageIds({ channel, standing, after: null, limit: max }));
    return {
      counts: countsOf(channel),
      notable: notable.slice(0, max).map((id) => rows.device(id)).filter((row) => row !== null),
    };
  }

  function progress(channel: string, revision: number, notableMax: number): ReleaseProgress | null {
    const found = releaseRow(channel, revision);
    if (found === null) return null;
    const { isHead, release: { digest } } = found;
    const rest = isHead ? headProgress(channel, notableMax) : oldProgress(channel, revision, notableMax);
    return { channel, revision, digest, isHead, ...rest };
  }

  return {
    fleet,
    devices,
    device: (deviceId) => {
      const found = byName.get(deviceId);
      return found === undefined ? null : rows.device(Number(found["id"]));
    },
    releases,
    release: (channel, revision) => releaseRow(channel, revision)?.release ?? null,
    progress,
  };
}

function preparePages(db: Database): (query: DeviceQuery) => readonly number[] {
  const all = db.prepare(PAGE);
  const ofChannel = db.prepare(PAGE_CHANNEL);
  const ofBoth = db.prepare(PAGE_BOTH);
  const channelsOf = db.prepare(CHANNELS_OF);

  /** The first of each channel, and of these the first: an index for it would make each publish a quarter slower. */
  function ofStanding(standing: Standing, from: string, limit: number): readonly Record<string, unknown>[] {
    const found = channelsOf.all(standing).flatMap(({ channel }) =>
      ofBoth.all(String(channel), standing, from, limit).map((row) => ({ id: row["id"], name: String(row["name"]) }))
    );
    return found.toSorted((a, b) => a.name < b.name ? -1 : 1).slice(0, limit);
  }

  return ({ channel, standing, after, limit }) => {
    const from = after ?? "";
    const found = channel === null
      ? standing === null ? all.all(from, limit) : ofStanding(standing, from, limit)
      : standing === null
      ? ofChannel.all(channel, from, limit)
      : ofBoth.all(channel, standing, from, limit);
    return found.map((row) => Number(row["id"]));
  };
}

type Counts = { -readonly [K in Standing]: number };

function emptyCounts(): Counts {
  return { current: 0, waiting: 0, updating: 0, failed: 0, no_target: 0, pending: 0, rejected: 0 };
}

function add(counts: Counts, standing: string, devices: number): void {
  const known = STANDINGS.find((one) => one === standing);
  if (known !== undefined) counts[known] += devices;
}
