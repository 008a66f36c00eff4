/**
 * What operators see: the answers of `/api/v1`, shared by the server, the dashboard and the command line.
 * @module
 */
import { DeviceState } from "./checkin.ts";
import { Digest, Name, Revision, SystemName, text } from "./names.ts";
import { array, boolean, type Infer, integer, nullable, oneOf, open } from "./schema.ts";

/** Paths of the operator API; names are checked before they get here, so nothing needs escaping. */
export const operatorPaths = {
  fleet: "/api/v1/fleet",
  devices: "/api/v1/devices",
  device: (deviceId: string): string => `/api/v1/devices/${deviceId}`,
  accept: (deviceId: string): string => `/api/v1/devices/${deviceId}/accept`,
  reject: (deviceId: string): string => `/api/v1/devices/${deviceId}/reject`,
  releases: "/api/v1/releases",
  progress: (channel: string, revision: number): string => `/api/v1/releases/${channel}/${revision}/progress`,
  events: "/api/v1/events",
} as const;

/** Most rows on one page of a list. */
export const PAGE_MAX = 200;

/** Whether an operator let a device in. */
export const DEVICE_STATUSES = ["pending", "accepted", "rejected"] as const;

/** How far a device is with its channel's current release. */
export const STANDINGS = ["current", "waiting", "updating", "failed", "no_target", "pending", "rejected"] as const;
/** One of {@link STANDINGS}. */
export type Standing = typeof STANDINGS[number];

/** A device as operators see it. Times are milliseconds since 1970. */
export type DeviceRow = Infer<typeof DeviceRow>;
/** Reads a device row. */
export const DeviceRow = open({
  deviceId: Name,
  fingerprint: text(64),
  status: oneOf(DEVICE_STATUSES),
  channel: Name,
  system: SystemName,
  variant: Name,
  hostname: text(253),
  enrolledMs: integer(0),
  /** Null before the first check-in. */
  seenMs: nullable(integer(0)),
  /** Null before the first check-in. */
  state: nullable(DeviceState),
  standing: oneOf(STANDINGS),
  /** Newest revision of the channel whose target the device runs, or null. */
  runningRevision: nullable(Revision),
  cloneSuspected: boolean,
});

/** A release as operators see it. */
export type ReleaseRow = Infer<typeof ReleaseRow>;
/** Reads a release row. */
export const ReleaseRow = open({
  channel: Name,
  revision: Revision,
  digest: Digest,
  publishedMs: integer(0),
  issued: text(32),
  expires: text(32),
  notes: text(1024),
  mode: text(16),
  /** Fingerprints of the keys whose signatures the server verified. */
  signers: array(text(64), { max: 16 }),
  targets: array(
    open({ system: SystemName, variant: Name, storePath: text(255), paths: integer(0), narSize: integer(0) }),
    { max: 1024 },
  ),
});

/** Number of devices in each standing. */
export type StandingCounts = Infer<typeof StandingCounts>;
/** Reads the counts. */
export const StandingCounts = open({
  current: integer(0),
  waiting: integer(0),
  updating: integer(0),
  failed: integer(0),
  no_target: integer(0),
  pending: integer(0),
  rejected: integer(0),
});

/** A channel with its current release and how far its devices are. */
export type ChannelRow = Infer<typeof ChannelRow>;
/** Reads a channel row. */
export const ChannelRow = open({
  channel: Name,
  head: nullable(ReleaseRow),
  devices: StandingCounts,
});

/** One glance at everything: `GET /api/v1/fleet`. */
export type Fleet = Infer<typeof Fleet>;
/** Reads the fleet. */
export const Fleet = open({
  fleet: Name,
  serverMs: integer(0),
  channels: array(ChannelRow, { max: 256 }),
  devices: StandingCounts,
});

/** One page of devices, ordered by name: `GET /api/v1/devices?channel=&standing=&after=&limit=`. */
export type DevicePage = Infer<typeof DevicePage>;
/** Reads a page of devices. */
export const DevicePage = open({ devices: array(DeviceRow, { max: PAGE_MAX }), next: nullable(Name) });

/** One page of releases, newest first: `GET /api/v1/releases?channel=&before=&limit=`. */
export type ReleasePage = Infer<typeof ReleasePage>;
/** Reads a page of releases. `next` is the revision to ask for those before. */
export const ReleasePage = open({ releases: array(ReleaseRow, { max: PAGE_MAX }), next: nullable(Revision) });

/** How a release is doing on the devices of its channel: `GET /api/v1/releases/<channel>/<revision>/progress`. */
export type ReleaseProgress = Infer<typeof ReleaseProgress>;
/** Reads the progress of a release. */
export const ReleaseProgress = open({
  channel: Name,
  revision: Revision,
  digest: Digest,
  /** False once a newer revision is the channel's current one. */
  isHead: boolean,
  counts: StandingCounts,
  /** The devices that are not yet current, worst first; at most {@link PAGE_MAX}. */
  notable: array(DeviceRow, { max: PAGE_MAX }),
});

/** What `GET /api/v1/events` (server-sent events) tells: the event's name is `kind`. */
export type FleetEvent =
  | { readonly kind: "device"; readonly device: DeviceRow }
  | { readonly kind: "release"; readonly release: ReleaseRow }
  | { readonly kind: "fleet"; readonly fleet: Fleet };
