/**
 * Everything that is kept: one writer, one connection that reads, and the news of what changed.
 * @module
 */
import type { JobKind, OutcomeOf, Refusal, Work } from "./jobs.ts";
import type { FleetQueries } from "./fleet_queries.ts";
import { prepareFleetQueries } from "./fleet_queries.ts";
import { createGroupCommit } from "./group_commit.ts";
import { type Database, openReadOnly } from "./database.ts";
import { type DeviceIdentity, prepareWireQueries, type StoredRelease, type WireQueries } from "./wire_queries.ts";
import { openWriterHere, startWriter, type Writer } from "./writer.ts";

/** What a committed job changed for those who watch. */
export type Change =
  | { readonly kind: "device"; readonly deviceId: string; readonly heartbeat: boolean }
  | { readonly kind: "release"; readonly channel: string; readonly revision: number };

/** The store. Reads are synchronous and see what is committed; writes answer once they are on the disk. */
export interface Store extends WireQueries {
  readonly fleetQueries: FleetQueries;
  /** See `GroupCommit.submit`. */
  submit<K extends JobKind>(job: Work[K]["job"]): Promise<Exclude<OutcomeOf<K>, Refusal>>;
  /** Calls the listener after each commit that changed something. */
  onChange(listener: (change: Change) => void): void;
  /**
   * Writes the fleet's name at the first start.
   * @throws {Error} Where the database belongs to another fleet.
   */
  claimFleet(fleet: string): Promise<void>;
  /** Finishes the writes that wait, writes everything back into the database file and closes it. */
  close(): Promise<void>;
}

/** How a store is opened. */
export interface StoreOptions {
  /** The database file; made where there is none. */
  readonly path: string;
  /** `worker` for a server; `here` writes in the calling thread, for tests of what is written. */
  readonly writer: "worker" | "here";
  /** Called once if the writer dies. */
  readonly onFatal?: (error: Error) => void;
}

/** Heads kept in memory, so that a poll reads no database. */
const HEADS_MAX = 512;
/** Device keys kept in memory, so that a check-in reads none: some 500 bytes each. */
const IDENTITIES_MAX = 50_000;

/**
 * Opens the store.
 * @throws {Error} Where the database cannot be opened, is damaged, or is from a newer program.
 */
export async function openStore({ path, writer: where, onFatal = () => {} }: StoreOptions): Promise<Store> {
  const writer = where === "worker" ? await startWriter(path, onFatal) : openWriterHere(path);
  try {
    return joinStore(writer, openReadOnly(path));
  } catch (error) {
    await writer.close();
    throw error;
  }
}

function joinStore(writer: Writer, db: Database): Store {
  const queue = createGroupCommit(writer.commit);
  const queries = prepareWireQueries(db);
  const heads = new Map<string, StoredRelease>();
  const identities = new Map<string, DeviceIdentity>();
  const listeners: ((change: Change) => void)[] = [];

  function head(channel: string): StoredRelease | null {
    const known = heads.get(channel);
    if (known !== undefined) return known;
    const found = queries.head(channel);
    // Only channels that exist are kept, and they are few: strangers cannot fill the map with names.
    if (found !== null && heads.size < HEADS_MAX) heads.set(channel, found);
    return found;
  }

  function identity(name: string): DeviceIdentity | null {
    const known = identities.get(name);
    if (known !== undefined) return known;
    const found = queries.identity(name);
    if (found === null) return null;
    const [oldest] = identities.keys();
    if (identities.size >= IDENTITIES_MAX && oldest !== undefined) identities.delete(oldest);
    identities.set(name, found);
    return found;
  }

  /** All writes come by here, so what is kept in memory cannot grow old. */
  function forget(job: Work[JobKind]["job"]): void {
    if (job.kind === "publish") heads.delete(job.release.channel);
    else if (job.kind === "enrol" || job.kind === "decide") identities.delete(job.name);
    else if (job.kind === "prune") identities.clear();
  }

  async function submit<K extends JobKind>(job: Work[K]["job"]): Promise<Exclude<OutcomeOf<K>, Refusal>> {
    try {
      const outcome = await queue.submit<K>(job);
      const change = changeOf(job, outcome);
      if (change !== null) listeners.forEach((listener) => listener(change));
      return outcome;
    } finally {
      forget(job); // Of a commit that failed nobody can say whether it was written.
    }
  }

  return {
    ...queries,
    head,
    identity,
    submit,
    fleetQueries: prepareFleetQueries(db),
    onChange: (listener) => void listeners.push(listener),
    claimFleet: async (fleet) => {
      await queue.submit<"claim">({ kind: "claim", fleet });
    },
    close: async () => {
      await queue.drain();
      db.close();
      await writer.close();
    },
  };
}

type AnyWork = { [K in JobKind]: Exclude<OutcomeOf<K>, Refusal> }[JobKind];

function changeOf(job: Work[JobKind]["job"], outcome: AnyWork): Change | null {
  if (job.kind === "publish") {
    const { channel, revision } = job.release;
    return outcome.kind === "published" && outcome.isNew ? { kind: "release", channel, revision } : null;
  }
  if (job.kind === "checkin") {
    return { kind: "device", deviceId: job.name, heartbeat: outcome.kind === "checked_in" && !outcome.changed };
  }
  if (job.kind !== "enrol" && job.kind !== "decide") return null;
  const changed = (outcome.kind === "enrolled" || outcome.kind === "decided") && outcome.changed;
  return changed ? { kind: "device", deviceId: job.name, heartbeat: false } : null;
}
