/** What operators see, read from the database: each answer from one snapshot of it. */
import type { DevicePage, DeviceRow, Fleet } from "@nix-ota/common";
import type { DeviceQuery } from "../fleet_reader.ts";
import { prepareCounts } from "./counts.ts";
import { type Database, inSnapshot } from "./database.ts";
import { prepareDevicePages } from "./device_pages.ts";
import { prepareReleaseQueries, type ReleaseQueries } from "./release_queries.ts";
import { prepareRows } from "./rows.ts";

/** Channels on one glance: as many as the answer may have. Those with a release come first. */
export const CHANNELS_MAX = 256;

const CHANNELS = `
SELECT name, head_revision FROM channel
UNION ALL
SELECT DISTINCT channel, NULL FROM standing_count
WHERE devices > 0 AND standing NOT IN ('pending', 'rejected') AND channel NOT IN (SELECT name FROM channel)
LIMIT ?`;
const BY_NAME = "SELECT id FROM device WHERE name = ?";

/** Queries of operators. */
export interface FleetQueries extends ReleaseQueries {
  fleet(at: { fleet: string; nowMs: number }): Fleet;
  devices(query: DeviceQuery): DevicePage;
  device(deviceId: string): DeviceRow | null;
}

/** Prepares the queries on a read-only connection. */
export function prepareFleetQueries(db: Database): FleetQueries {
  const releases = prepareReleaseQueries(db);
  const devices = prepareDevices(db);
  const fleet = prepareFleet(db, releases);
  return {
    fleet: (at) => inSnapshot(db, () => fleet(at)),
    devices: (query) => inSnapshot(db, () => devices.page(query)),
    device: (deviceId) => inSnapshot(db, () => devices.one(deviceId)),
    releases: (query) => inSnapshot(db, () => releases.releases(query)),
    release: (channel, revision) => inSnapshot(db, () => releases.release(channel, revision)),
    progress: (channel, revision, notableMax) => inSnapshot(db, () => releases.progress(channel, revision, notableMax)),
  };
}

function prepareFleet(db: Database, releases: ReleaseQueries): FleetQueries["fleet"] {
  const channels = db.prepare(CHANNELS);
  const counts = prepareCounts(db);
  return ({ fleet, nowMs }) => {
    const devices = counts();
    const list = channels.all(CHANNELS_MAX).map((row) => {
      const channel = String(row["name"]);
      const revision = row["head_revision"];
      const head = typeof revision === "number" ? releases.release(channel, revision) : null;
      return { channel, head, devices: devices.of(channel) };
    });
    const sorted = list.toSorted((a, b) => a.channel < b.channel ? -1 : 1);
    return { fleet, serverMs: nowMs, channels: sorted, devices: devices.all };
  };
}

function prepareDevices(
  db: Database,
): { page: FleetQueries["devices"]; one: FleetQueries["device"] } {
  const rows = prepareRows(db);
  const pages = prepareDevicePages(db);
  const byName = db.prepare(BY_NAME);
  return {
    page: (query) => {
      // One more than asked for tells whether there is a next page.
      const found = pages({ ...query, limit: query.limit + 1 });
      const devices = found.slice(0, query.limit).map((id) => rows.device(id)).filter((row) => row !== null);
      return { devices, next: found.length > query.limit ? devices.at(-1)?.deviceId ?? null : null };
    },
    one: (deviceId) => {
      const found = byName.get(deviceId);
      return found === undefined ? null : rows.device(Number(found["id"]));
    },
  };
}
