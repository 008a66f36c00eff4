/**
 * The port through which pages and the operator API see the fleet: everything they may ask, nothing of how it is kept.
 * @module
 */
import type { DevicePage, DeviceRow, Fleet, FleetEvent, ReleasePage, ReleaseProgress, Standing } from "@nix-ota/common";

/** Which devices to list; keyset paging by name. */
export interface DeviceQuery {
  readonly channel: string | null;
  readonly standing: Standing | null;
  /** The last name of the page before, or null for the first page. */
  readonly after: string | null;
  /** At most `PAGE_MAX`. */
  readonly limit: number;
}

/** Which releases to list, newest first. */
export interface ReleaseQuery {
  readonly channel: string | null;
  /** Only revisions below this one, or null for the newest. */
  readonly before: number | null;
  /** At most `PAGE_MAX`. */
  readonly limit: number;
}

/** Read-only view of the fleet. */
export interface FleetReader {
  fleet(): Fleet;
  devices(query: DeviceQuery): DevicePage;
  device(deviceId: string): DeviceRow | null;
  releases(query: ReleaseQuery): ReleasePage;
  /** Null where the release is not known. */
  progress(channel: string, revision: number): ReleaseProgress | null;
  /** Calls the listener after each committed change until the returned function is called. */
  subscribe(listener: (event: FleetEvent) => void): () => void;
}
