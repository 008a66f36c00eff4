/** Devices by name, a page at a time: each page begins behind the last name of the one before. */
import type { Standing } from "@nix-ota/common";
import type { DeviceQuery } from "../fleet_reader.ts";
import type { Database } from "./database.ts";

const ALL = "SELECT id, name FROM device WHERE name > ? ORDER BY name LIMIT ?";
const OF_CHANNEL = "SELECT id, name FROM device WHERE channel = ? AND name > ? ORDER BY name LIMIT ?";
const OF_BOTH = `
SELECT id, name FROM device WHERE channel = ? AND standing = ? AND name > ? ORDER BY name LIMIT ?`;
const CHANNELS_OF = "SELECT channel FROM standing_count WHERE standing = ? AND devices > 0";

/** Prepares the finding of pages; the answer is the devices' numbers. */
export function prepareDevicePages(db: Database): (query: DeviceQuery) => readonly number[] {
  const all = db.prepare(ALL);
  const ofChannel = db.prepare(OF_CHANNEL);
  const ofBoth = db.prepare(OF_BOTH);
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
