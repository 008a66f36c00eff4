/**
 * Devices and progress as a server would tell them.
 * @module
 */
import type { DeviceRow, DeviceState, ReleaseProgress } from "@nix-ota/common";

/** Digest of the release that the devices of the tests are about. */
export const DIGEST = `sha256:${"a".repeat(64)}`;

const STORE_PATH = `/nix/store/${"0".repeat(32)}-nixos-system-fridge-24.11.1`;

const STATE: DeviceState = {
  phase: "idle",
  target: { revision: 1, digest: DIGEST, storePath: STORE_PATH },
  progress: null,
  since: "2026-01-01T00:00:00Z",
  result: null,
  reason: null,
  detail: null,
  running: STORE_PATH,
  booted: STORE_PATH,
  profile: STORE_PATH,
  bootDefault: null,
  needsReboot: false,
  inhibitors: [],
  failedUnits: [],
  disk: null,
  kernel: null,
  nixosVersion: null,
  agent: "0.1.0",
};

/** A device; `state` null is one that has not checked in. */
export function makeDevice(
  { state, ...rest }: Partial<Omit<DeviceRow, "state">> & { readonly state?: Partial<DeviceState> | null },
): DeviceRow {
  return {
    deviceId: "fridge-001",
    fingerprint: `SHA256:${"a".repeat(43)}`,
    status: "accepted",
    channel: "prod",
    system: "x86_64-linux",
    variant: "default",
    hostname: "fridge",
    enrolledMs: 0,
    seenMs: null,
    standing: "current",
    runningRevision: 1,
    cloneSuspected: false,
    state: state === null ? null : { ...STATE, ...state },
    ...rest,
  };
}

/** The progress of revision 1 on channel prod, with these devices besides the current ones. */
export function makeProgress(current: number, notable: readonly DeviceRow[]): ReleaseProgress {
  const count = (standing: DeviceRow["standing"]): number => notable.filter((one) => one.standing === standing).length;
  return {
    channel: "prod",
    revision: 1,
    digest: DIGEST,
    isHead: true,
    counts: {
      current,
      waiting: count("waiting"),
      updating: count("updating"),
      failed: count("failed"),
      no_target: count("no_target"),
      pending: count("pending"),
      rejected: 0,
    },
    notable,
  };
}
