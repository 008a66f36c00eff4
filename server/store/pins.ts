/** Release keys pinned at the first publish, where the configuration names none. */
import type { Database } from "./database.ts";
import { prepareEvents } from "./events.ts";
import { type PublishJob, type Refusal, refuse } from "./jobs.ts";

const FIND = "SELECT value FROM meta WHERE key = 'pinned_keys'";
const INSERT = "INSERT INTO meta (key, value) VALUES ('pinned_keys', ?)";

/** The pinned keys in raw base64, or null where none are. */
export function preparePinnedKeys(db: Database): () => readonly string[] | null {
  const find = db.prepare(FIND);
  return () => {
    const value = find.get()?.["value"];
    return typeof value === "string" ? JSON.parse(value) : null;
  };
}

/** Makes the function that pins the keys of a first publish; refuses where another publish pinned others meanwhile. */
export function preparePins(db: Database): (job: PublishJob) => Refusal | null {
  const pinned = preparePinnedKeys(db);
  const insert = db.prepare(INSERT);
  const record = prepareEvents(db);
  return ({ pin, nowMs, actor, signers, release }) => {
    if (pin === null) return null;
    const known = pinned();
    if (known === null) {
      insert.run(JSON.stringify(pin));
      const detail = JSON.stringify({ signers });
      record({ atMs: nowMs, kind: "keys_pinned", deviceId: null, channel: release.channel, actor, detail });
      return null;
    }
    if (known.length === pin.length && known.every((key) => pin.includes(key))) return null;
    return refuse("signatures_insufficient", "Cannot trust the release as other keys were pinned by an earlier one");
  };
}
