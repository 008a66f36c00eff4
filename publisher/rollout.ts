/**
 * Following a release on its devices: what changed, and whether it is over. Pure.
 * @module
 */
import type { DeviceRow, ReleaseProgress } from "@nix-ota/common";
import { describeDevice } from "./device_view.ts";
import { EXIT, type ExitCode } from "./errors.ts";

/** When following ends. */
export interface WaitRule {
  /** Devices that did not check in for so long after the publish are not waited for. */
  readonly offlineSeconds: number;
  /** `any`: the first failed device ends it. `all`: only where every device that answers failed is it a failure. */
  readonly failOn: "any" | "all";
}

/** The devices of a release by how they are doing. */
export interface Sorted {
  /** Number of devices that run the release. */
  readonly current: number;
  readonly failed: readonly DeviceRow[];
  /** They have it and start it with their next reboot. */
  readonly rebooting: readonly DeviceRow[];
  /** Silent since the publish. */
  readonly offline: readonly DeviceRow[];
  /** Number of devices that are still busy with it or about to be. */
  readonly open: number;
}

/** How following ended; `silent`: no device has answered since the publish. */
export type RolloutEnd =
  | "succeeded"
  | "silent"
  | "failed"
  | "timed_out"
  | "superseded"
  | "no_devices"
  | "unreachable"
  | "refused"
  | "interrupted";

/** The exit code of each end. */
export const ROLLOUT_EXIT: Readonly<Record<RolloutEnd, ExitCode>> = {
  succeeded: EXIT.ok,
  silent: EXIT.ok,
  no_devices: EXIT.ok,
  failed: EXIT.devicesFailed,
  timed_out: EXIT.waitEnded,
  superseded: EXIT.waitEnded,
  unreachable: EXIT.serverUnreachable,
  refused: EXIT.serverRefused,
  interrupted: EXIT.interrupted,
};

/** Sorts the devices. Those that the server did not list, as there are too many, count as open. */
export function sortDevices(
  { counts, notable, digest }: ReleaseProgress,
  { publishedMs, patient }: { publishedMs: number; patient: boolean },
): Sorted {
  const failed = notable.filter(({ standing }) => standing === "failed");
  const waiting = notable.filter(({ standing }) => standing === "waiting");
  const rebooting = waiting.filter(({ state }) =>
    state?.result === "pending_reboot" && state.target?.digest === digest
  );
  // Both times are of the server's clock.
  const silent = waiting.filter((one) => !rebooting.includes(one) && (one.seenMs === null || one.seenMs < publishedMs));
  const offline = patient ? [] : silent;
  return {
    current: counts.current,
    failed,
    rebooting,
    offline,
    open: counts.updating + counts.waiting - rebooting.length - offline.length,
  };
}

/** Whether it is over, and how; null while it goes on. */
export function judgeRollout(
  progress: ReleaseProgress,
  { publishedMs, elapsedSeconds, timedOut, rule }: {
    /** By the server's clock, milliseconds since 1970. */
    publishedMs: number;
    /** Since the publish. */
    elapsedSeconds: number;
    timedOut: boolean;
    rule: WaitRule;
  },
): { end: RolloutEnd | null; sorted: Sorted } {
  const patient = elapsedSeconds < rule.offlineSeconds && !timedOut;
  const sorted = sortDevices(progress, { publishedMs, patient });
  const { counts, isHead } = progress;
  const { failed, rebooting, open } = sorted;
  const anyFailed = Math.max(failed.length, counts.failed) > 0;
  const anyGood = counts.current + rebooting.length > 0;
  const isFailure = rule.failOn === "any" ? anyFailed : anyFailed && !anyGood && open === 0;
  const end = (): RolloutEnd | null => {
    if (isFailure) return "failed";
    if (!isHead) return "superseded";
    if (counts.current + counts.waiting + counts.updating + counts.failed === 0) return "no_devices";
    if (open === 0) return anyGood ? "succeeded" : "silent";
    return timedOut ? "timed_out" : null;
  };
  return { end: end(), sorted };
}

/** One line for each device that is doing something else than before. */
export function describeNews(before: ReleaseProgress | null, after: ReleaseProgress): readonly string[] {
  const known = new Map((before?.notable ?? []).map((device) => [device.deviceId, device]));
  const lines = after.notable
    .filter((device) => device.standing !== "pending" && keyOf(device) !== keyOf(known.get(device.deviceId)))
    .filter((device) => before !== null || device.standing !== "waiting")
    .map((device) => `${device.deviceId}: ${describeDevice(device) || device.standing}`);
  const listed = new Set(after.notable.map(({ deviceId }) => deviceId));
  const gone = [...known.keys()].filter((deviceId) => !listed.has(deviceId));
  // A device that is not listed any more is current, unless the list is too short for all.
  const complete = after.notable.length === notableCount(after);
  return complete ? [...lines, ...gone.map((deviceId) => `${deviceId}: runs it`)] : lines;
}

function notableCount({ counts: { failed, no_target, updating, waiting, pending } }: ReleaseProgress): number {
  return failed + no_target + updating + waiting + pending;
}

/** What makes a line worth repeating: not the percentage, which the bar shows. */
function keyOf(device: DeviceRow | undefined): string {
  if (device === undefined) return "";
  const { standing, state } = device;
  return [standing, state?.phase, state?.result, state?.reason].join(" ");
}
