/**
 * A pretended device: what it looks like at each step of an update.
 * @module
 */
import { type DeviceRow, type DeviceState, formatTimestamp, type ReleaseRow } from "@nix-ota/common";

/** A store path that looks real. */
export function storePath(seed: number, name: string): string {
  const ALPHABET = "0123456789abcdfghijklmnpqrsvwxyz";
  const hash = Array.from({ length: 32 }, (_, at) => ALPHABET[(seed * 7919 + at * at * 31 + at * 17) % 32]).join("");
  return `/nix/store/${hash}-${name}`;
}

/** A fingerprint that looks real. */
export function fingerprint(seed: number): string {
  const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const text = Array.from({ length: 43 }, (_, at) => ALPHABET[(seed * 104_729 + at * at * 37 + at * 11) % 64]).join("");
  return `SHA256:${text}`;
}

/** The state of a device that does nothing. */
export function idleState(nowMs: number): DeviceState {
  return {
    phase: "idle",
    target: null,
    progress: null,
    since: formatTimestamp(nowMs),
    result: null,
    reason: null,
    detail: null,
    running: storePath(1, "nixos-system-device-25.05"),
    booted: storePath(1, "nixos-system-device-25.05"),
    profile: storePath(1, "nixos-system-device-25.05"),
    bootDefault: storePath(1, "nixos-system-device-25.05"),
    needsReboot: false,
    inhibitors: [],
    failedUnits: [],
    disk: { free: 11_811_160_064, total: 31_138_512_896 },
    kernel: "6.12.41",
    nixosVersion: "25.05.20251120",
    agent: "0.1.0",
  };
}

/** A device that is accepted and runs nothing that is known. */
export function fakeDevice(deviceId: string, changes: Partial<DeviceRow> = {}): DeviceRow {
  const seed = [...deviceId].reduce((sum, letter) => sum * 31 % 65_521 + letter.charCodeAt(0), 7);
  const enrolledMs = changes.enrolledMs ?? 1_763_800_000_000;
  return {
    deviceId,
    fingerprint: fingerprint(seed),
    status: "accepted",
    channel: "prod",
    system: "x86_64-linux",
    variant: "default",
    hostname: deviceId,
    enrolledMs,
    seenMs: enrolledMs,
    state: idleState(enrolledMs),
    standing: "waiting",
    runningRevision: null,
    cloneSuspected: false,
    ...changes,
  };
}

/** Bytes and paths of a pretended download. */
const DOWNLOAD = { ofPaths: 38, ofBytes: 241_172_480 } as const;

/** Progress in the order of keys that the document has. */
function progressAt(bytes: number): DeviceState["progress"] {
  const { ofPaths, ofBytes } = DOWNLOAD;
  return { paths: Math.floor(bytes / ofBytes * ofPaths), ofPaths, bytes, ofBytes };
}

/** An update with less luck than this fails. */
export const MISHAP_LUCK = 0.1;

/** What a device does next on its way to a release. `luck` in [0, 1) decides how fast, and whether it ends well. */
export function nextStep(
  device: DeviceRow,
  release: ReleaseRow,
  { nowMs, luck }: { nowMs: number; luck: number },
): DeviceRow {
  const state = device.state ?? idleState(nowMs);
  const isOnAnother = state.target !== null && state.target.revision !== release.revision;
  const target = {
    revision: release.revision,
    digest: release.digest,
    storePath: storePath(release.revision, `nixos-system-${device.deviceId}-25.05`),
  };
  const to = (changes: Partial<DeviceState>): DeviceRow => ({
    ...device,
    seenMs: nowMs,
    standing: "updating",
    state: { ...state, since: formatTimestamp(nowMs), target, progress: null, result: null, reason: null, ...changes },
  });
  switch (isOnAnother ? "idle" : state.phase) {
    case "idle":
      return to({ phase: "staging", progress: progressAt(0) });
    case "staging": {
      const bytes = (state.progress?.bytes ?? 0) + Math.round(DOWNLOAD.ofBytes * (0.02 + luck * 0.06));
      if (bytes >= DOWNLOAD.ofBytes) return to({ phase: "staged" });
      return to({ phase: "staging", since: state.since, progress: progressAt(bytes) });
    }
    case "staged":
      return to({ phase: "activating" });
    case "activating":
      return to({ phase: "probation" });
    default:
      return luck < MISHAP_LUCK ? failed(to, device) : succeeded(to, device, release);
  }
}

function succeeded(
  to: (changes: Partial<DeviceState>) => DeviceRow,
  device: DeviceRow,
  release: ReleaseRow,
): DeviceRow {
  const running = storePath(release.revision, `nixos-system-${device.deviceId}-25.05`);
  const row = to({ phase: "idle", result: "succeeded", running, profile: running });
  return { ...row, standing: "current", runningRevision: release.revision };
}

function failed(to: (changes: Partial<DeviceState>) => DeviceRow, device: DeviceRow): DeviceRow {
  const row = to({
    phase: "idle",
    result: "rolled_back",
    reason: "health_failed:curl exited with 7",
    detail: `The health check of ${device.deviceId} failed 3 times in 30 s: curl: (7) Failed to connect to localhost`,
  });
  return { ...row, standing: "failed" };
}
