/** How many devices stand where, from the counters that triggers keep. */
import { type Standing, type StandingCounts, STANDINGS } from "@nix-ota/common";
import type { Database } from "./database.ts";

const COUNTS = "SELECT channel, standing, devices FROM standing_count WHERE devices > 0";

/** Counts being added up. */
export type Tally = { -readonly [K in Standing]: number };

/** Counts of nothing. */
export function emptyTally(): Tally {
  return { current: 0, waiting: 0, updating: 0, failed: 0, no_target: 0, pending: 0, rejected: 0 };
}

/** Adds a row with `standing` and `devices`. */
export function addRow(tally: Tally, row: Readonly<Record<string, unknown>>): void {
  const known = STANDINGS.find((one) => one === row["standing"]);
  if (known !== undefined) tally[known] += Number(row["devices"]);
}

/** The counts of every channel that has devices, and of all together. */
export interface AllCounts {
  readonly all: StandingCounts;
  of(channel: string): StandingCounts;
}

/** Prepares the reading of the counters. */
export function prepareCounts(db: Database): () => AllCounts {
  const counts = db.prepare(COUNTS);
  return () => {
    const byChannel = new Map<string, Tally>();
    const all = emptyTally();
    for (const row of counts.all()) {
      const channel = String(row["channel"]);
      const own = byChannel.get(channel) ?? emptyTally();
      byChannel.set(channel, own);
      addRow(own, row);
      addRow(all, row);
    }
    return { all, of: (channel) => byChannel.get(channel) ?? emptyTally() };
  };
}
