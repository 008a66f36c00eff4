/**
 * What the overview shows, and how it changes with what the server tells: values in, values out.
 * @module
 */
import type { DeviceRow, Fleet, FleetEvent, ReleaseRow } from "@nix-ota/common";
import type { Filter } from "./filter.ts";
import { deviceNews, type Happening, newest, releaseHappening } from "./happenings.ts";

/** Everything the page shows. */
export interface View {
  readonly fleet: Fleet;
  readonly filter: Filter;
  /** The listed devices, ordered by name. */
  readonly devices: readonly DeviceRow[];
  /** The name to ask for those after, or null where the list is complete. */
  readonly next: string | null;
  /** Devices that ask to join, ordered by name: the first {@link PENDING_MAX}. */
  readonly pending: readonly DeviceRow[];
  /** Newest first. */
  readonly releases: readonly ReleaseRow[];
  readonly happenings: readonly Happening[];
}

/** Devices on one page of the table. */
export const ROWS_MAX = 100;
/** Pending devices shown at once: each takes a card, and a flood of them must not bury the page. */
export const PENDING_MAX = 6;
/** Releases listed. */
export const RELEASES_MAX = 8;

/** The part of a view that the server can tell anew, after the page missed something. */
export type Snapshot = Pick<View, "fleet" | "devices" | "next" | "pending" | "releases">;

/** The view after one event. */
export function applyEvent(view: View, event: FleetEvent): View {
  switch (event.kind) {
    case "fleet":
      return { ...view, fleet: event.fleet };
    case "release":
      return applyRelease(view, event.release);
    case "device":
      return applyDevice(view, event.device);
  }
}

/** The view after the page caught up: what differs from before is news too. */
export function applySnapshot(view: View, snapshot: Snapshot): View {
  const before = new Map(view.devices.map((device) => [device.deviceId, device]));
  const news = snapshot.devices.map((device) => deviceNews(before.get(device.deviceId), device));
  return { ...view, ...snapshot, happenings: withNews(view, news) };
}

function applyRelease(view: View, release: ReleaseRow): View {
  const others = view.releases.filter((one) => one.channel !== release.channel || one.revision !== release.revision);
  const isNew = others.length === view.releases.length;
  return {
    ...view,
    releases: [release, ...others].toSorted((a, b) => b.publishedMs - a.publishedMs).slice(0, RELEASES_MAX),
    happenings: isNew ? withNews(view, [releaseHappening(release)]) : view.happenings,
  };
}

function applyDevice(view: View, device: DeviceRow): View {
  const before = [...view.devices, ...view.pending].find((one) => one.deviceId === device.deviceId);
  const listed = isListed(view, device);
  const news = before || listed ? deviceNews(before, device) : null;
  const devices = put(view.devices, device, listed);
  return {
    ...view,
    devices: devices.slice(0, ROWS_MAX),
    next: devices.length > ROWS_MAX ? devices[ROWS_MAX - 1]?.deviceId ?? null : view.next,
    pending: put(view.pending, device, device.status === "pending").slice(0, PENDING_MAX),
    happenings: withNews(view, [news]),
  };
}

/** Whether a device belongs on this page of the list. */
function isListed({ filter, next, devices }: View, device: DeviceRow): boolean {
  const last = devices.at(-1)?.deviceId ?? "";
  return (filter.channel === null || filter.channel === device.channel) &&
    (filter.standing === null || filter.standing === device.standing) &&
    (filter.after === null || device.deviceId > filter.after) &&
    (next === null || device.deviceId <= last);
}

/** The rows with a device in its place by name, or without it. */
function put(rows: readonly DeviceRow[], device: DeviceRow, keep: boolean): readonly DeviceRow[] {
  const at = rows.findIndex((row) => row.deviceId === device.deviceId);
  if (at >= 0) return keep ? rows.with(at, device) : rows.toSpliced(at, 1);
  if (!keep) return rows;
  return [...rows, device].toSorted((a, b) => a.deviceId < b.deviceId ? -1 : 1);
}

function withNews(view: View, news: readonly (Happening | null)[]): readonly Happening[] {
  const some = news.filter((one) => one !== null);
  return some.length === 0 ? view.happenings : newest([...some, ...view.happenings]);
}
