/**
 * Keeps a view up to date: the stream's events, and what was missed while there was none.
 * @module
 */
import { DevicePage, Fleet, type FleetEvent, operatorPaths, type Parser, ReleasePage } from "@nix-ota/common";
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { onLive } from "../lib/live.ts";
import { type Filter, NO_FILTER, queryOf } from "./filter.ts";
import { applyEvent, applySnapshot, PENDING_MAX, RELEASES_MAX, ROWS_MAX, type Snapshot, type View } from "./view.ts";

/** Events are shown together this often, in milliseconds: below what an eye tells apart, above what a phone minds. */
const BATCH_MS = 80;
/** "12 s ago" is renewed this often. */
const TICK_MS = 5_000;
/** A snapshot that could not be had is asked for again after this long. */
const SNAPSHOT_RETRY_MS = 3_000;

/** What the page shows now. */
export interface LiveFleet {
  readonly view: View;
  /** The server's clock as well as it is known, in milliseconds since 1970. */
  readonly nowMs: number;
}

/** Begins with what the server rendered and follows the stream from then on. */
export function useFleet(first: View): LiveFleet {
  const view = useSignal(first);
  const nowMs = useSignal(first.fleet.serverMs);
  useEffect(() => {
    const aheadMs = () => view.value.fleet.serverMs - receivedMs;
    let receivedMs = Date.now();
    const tick = () => nowMs.value = Date.now() + aheadMs();
    const timer = setInterval(tick, TICK_MS);
    const follower = follow((change) => {
      const before = view.value.fleet;
      view.value = change(view.value);
      if (view.value.fleet !== before) receivedMs = Date.now();
      tick();
    }, first.filter);
    return () => {
      clearInterval(timer);
      follower();
    };
  }, []);
  return { view: view.value, nowMs: nowMs.value };
}

/** Tells `update` how the view changes until the returned function is called. */
function follow(update: (change: (view: View) => View) => void, filter: Filter): () => void {
  let queue: FleetEvent[] = [];
  let catchingUp = false;
  let batchTimer: ReturnType<typeof setTimeout> | undefined;
  let retryTimer: ReturnType<typeof setTimeout> | undefined;

  const flush = () => {
    batchTimer = undefined;
    if (catchingUp) return; // The snapshot may be older than these events: they come after it.
    const events = queue;
    queue = [];
    if (events.length > 0) update((view) => events.reduce(applyEvent, view));
  };
  const catchUp = async () => {
    clearTimeout(retryTimer);
    catchingUp = true;
    try {
      const snapshot = await readSnapshot(filter);
      update((view) => applySnapshot(view, snapshot));
    } catch {
      // The stream goes on meanwhile, and a lost stream leads here again.
      retryTimer = setTimeout(catchUp, SNAPSHOT_RETRY_MS);
    }
    catchingUp = false;
    flush();
  };
  const off = onLive({
    onOpen: () => void catchUp(),
    onEvent: (event) => {
      queue.push(event);
      batchTimer ??= setTimeout(flush, BATCH_MS);
    },
  });
  return () => {
    off();
    clearTimeout(batchTimer);
    clearTimeout(retryTimer);
  };
}

async function readSnapshot(filter: Filter): Promise<Snapshot> {
  const [fleet, page, pending, releases] = await Promise.all([
    read(operatorPaths.fleet, Fleet),
    read(devicesPath(filter, ROWS_MAX), DevicePage),
    read(devicesPath({ ...NO_FILTER, standing: "pending" }, PENDING_MAX), DevicePage),
    read(`${operatorPaths.releases}?limit=${RELEASES_MAX}`, ReleasePage),
  ]);
  return { fleet, devices: page.devices, next: page.next, pending: pending.devices, releases: releases.releases };
}

function devicesPath(filter: Filter, limit: number): string {
  const query = queryOf(filter);
  query.set("limit", String(limit));
  return `${operatorPaths.devices}?${query}`;
}

async function read<T>(path: string, parse: Parser<T>): Promise<T> {
  const response = await fetch(path);
  if (!response.ok) throw new Error(`Cannot read ${path}: the server answered ${response.status}`);
  return parse(await response.json(), "");
}
