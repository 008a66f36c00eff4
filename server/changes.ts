/**
 * News for those who watch: changes are gathered for a moment and told together, so that ten thousand devices that
 * move at once are a few messages and not ten thousand.
 * @module
 */
import type { DeviceRow, Fleet, FleetEvent, ReleaseRow } from "@nix-ota/common";
import type { Change } from "./store/store.ts";

/** What is read when there is something to tell. */
export interface ChangeReader {
  fleet(): Fleet;
  device(deviceId: string): DeviceRow | null;
  release(channel: string, revision: number): ReleaseRow | null;
}

/** Tells listeners of changes. */
export interface Changes {
  mark(change: Change): void;
  /** Calls the listener for each piece of news until the returned function is called. */
  subscribe(listener: (event: FleetEvent) => void): () => void;
  /** Tells no more. */
  stop(): void;
}

/** How long changes are gathered: shorter than people notice. */
const GATHER_MS = 250;
/** Devices told of at once; those that changed and found no room come next time, mere heartbeats are left out. */
const DEVICES_MAX = 200;

/** Makes the teller. Nothing is read while nobody listens. */
export function createChanges(reader: ChangeReader, gatherMs: number = GATHER_MS): Changes {
  const listeners = new Set<(event: FleetEvent) => void>();
  let changed = new Set<string>();
  let heartbeats = new Set<string>();
  let releases = new Map<string, { channel: string; revision: number }>();
  let timer: ReturnType<typeof setTimeout> | null = null;

  function mark(change: Change): void {
    if (listeners.size === 0) return;
    if (change.kind === "release") {
      const { channel, revision } = change;
      releases.set(channel, { channel, revision });
    } else if (!change.heartbeat) changed.add(change.deviceId);
    else if (heartbeats.size < DEVICES_MAX) heartbeats.add(change.deviceId);
    timer ??= setTimeout(tell, gatherMs);
  }

  function tell(): void {
    timer = null;
    const news = gather();
    for (const event of news) listeners.forEach((listener) => listener(event));
    if (changed.size > 0) timer = setTimeout(tell, gatherMs);
  }

  function gather(): readonly FleetEvent[] {
    const moved = changed.size > 0 || releases.size > 0;
    const first = [...changed].slice(0, DEVICES_MAX);
    const beating = [...heartbeats.difference(changed)].slice(0, DEVICES_MAX - first.length);
    changed = changed.difference(new Set(first));
    heartbeats = new Set();
    const published = [...releases.values()];
    releases = new Map();
    const news: FleetEvent[] = [];
    for (const { channel, revision } of published) {
      const release = reader.release(channel, revision);
      if (release !== null) news.push({ kind: "release", release });
    }
    for (const deviceId of [...first, ...beating]) {
      const device = reader.device(deviceId);
      if (device !== null) news.push({ kind: "device", device });
    }
    if (moved) news.push({ kind: "fleet", fleet: reader.fleet() });
    return news;
  }

  function stop(): void {
    listeners.clear();
    if (timer !== null) clearTimeout(timer);
    timer = null;
  }

  return {
    mark,
    subscribe: (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    stop,
  };
}
