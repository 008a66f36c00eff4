/** The history of what happened: changes only. */
import type { Database } from "./database.ts";

/** Longest detail of an event in UTF-16 code units. */
const DETAIL_MAX = 1024;

const INSERT = "INSERT INTO event (at_ms, kind, device_id, channel, actor, detail) VALUES (?, ?, ?, ?, ?, ?)";

/** Something that happened. */
export interface EventRecord {
  readonly atMs: number;
  readonly kind: string;
  readonly deviceId: number | null;
  readonly channel: string | null;
  /** Who did it: a device's name, a token, the server. */
  readonly actor: string;
  readonly detail: string;
}

/** Makes the function that keeps an event. */
export function prepareEvents(db: Database): (event: EventRecord) => void {
  const insert = db.prepare(INSERT);
  return ({ atMs, kind, deviceId, channel, actor, detail }) => {
    insert.run(atMs, kind, deviceId, channel, actor, detail.slice(0, DETAIL_MAX));
  };
}
