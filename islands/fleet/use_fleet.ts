/**
 * Keeps the overview up to date.
 * @module
 */
import { DevicePage, Fleet, operatorPaths, ReleasePage } from "@nix-ota/common";
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { follow, readApi } from "../lib/follow.ts";
import { type Filter, NO_FILTER, queryOf } from "./filter.ts";
import { applyEvent, applySnapshot, PENDING_MAX, RELEASES_MAX, ROWS_MAX, type Snapshot, type View } from "./view.ts";

/** Begins with what the server rendered and follows the stream from then on. */
export function useFleet(first: View): View {
  const view = useSignal(first);
  useEffect(() =>
    follow({
      read: () => readSnapshot(first.filter),
      needsReading: ({ kind }) => kind === "release",
      onReading: (snapshot) => view.value = applySnapshot(view.value, snapshot),
      onEvents: (events) => view.value = events.reduce(applyEvent, view.value),
    }), []);
  return view.value;
}

async function readSnapshot(filter: Filter): Promise<Snapshot> {
  const [fleet, page, pending, { releases }] = await Promise.all([
    readApi(operatorPaths.fleet, Fleet),
    readApi(devicesPath(filter, ROWS_MAX), DevicePage),
    readApi(devicesPath({ ...NO_FILTER, standing: "pending" }, PENDING_MAX), DevicePage),
    readApi(`${operatorPaths.releases}?limit=${RELEASES_MAX}`, ReleasePage),
  ]);
  return { fleet, devices: page.devices, next: page.next, pending: pending.devices, releases };
}

function devicesPath(filter: Filter, limit: number): string {
  const query = queryOf(filter);
  query.set("limit", String(limit));
  return `${operatorPaths.devices}?${query}`;
}
