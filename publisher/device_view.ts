/**
 * Devices as people read them.
 * @module
 */
import { type DeviceRow, formatBytes, formatDuration, type Phase, REASONS, type Standing } from "@nix-ota/common";
import type { Cell, Column } from "./ui/table.ts";
import type { Style } from "./ui/style.ts";

/** What each phase is called on the screen. */
const PHASE_WORDS: Readonly<Record<Phase, string>> = {
  idle: "idle",
  staging: "downloading",
  staged: "downloaded",
  activating: "activating",
  probation: "checking health",
  rebooting: "rebooting",
  rolling_back: "rolling back",
};

/** How long ago, in the largest unit: `5 min ago`. Times in milliseconds since 1970; clocks may disagree a little. */
export function formatAgo(thenMs: number | null, nowMs: number): string {
  if (thenMs === null) return "never";
  const [count, unit] = formatDuration(Math.max(0, nowMs - thenMs) / 1000).split(" ");
  return `${count} ${unit} ago`;
}

/** The sentence that goes with a reason, and the reason itself; one of a newer server stands for itself. */
export function explainReason(reason: string): string {
  const [code = ""] = reason.split(":");
  if (!Object.hasOwn(REASONS, code)) return reason;
  const sentence = REASONS[code as keyof typeof REASONS]; // `code` is a key, as was just seen.
  return `${sentence.charAt(0).toLowerCase()}${sentence.slice(1)} (${reason})`;
}

/** What a device is doing or how its last attempt ended, in a few words. */
export function describeDevice({ standing, state }: Pick<DeviceRow, "standing" | "state">): string {
  if (standing === "pending") return "waits to be accepted";
  if (standing === "rejected") return "rejected";
  if (standing === "no_target") return "the release has nothing for its kind";
  if (state === null) return "has not checked in yet";
  if (state.phase !== "idle") return describePhase(state);
  // What a waiting device says of itself may be about an older release, except that it waits for its reboot.
  if (standing === "waiting") return state.result === "pending_reboot" ? "waits for a reboot" : "waits";
  if (standing === "current" || state.result === null) return "";
  const reason = state.reason === null ? "" : `: ${explainReason(state.reason)}`;
  return `${state.result.replaceAll("_", " ")}${reason}`;
}

function describePhase({ phase, progress }: NonNullable<DeviceRow["state"]>): string {
  const word = PHASE_WORDS[phase];
  if (phase !== "staging" || progress === null || progress.ofBytes === 0) return word;
  const percent = Math.min(100, Math.floor((100 * progress.bytes) / progress.ofBytes));
  return `${word} ${percent}% of ${formatBytes(progress.ofBytes)}`;
}

/** The colour of a standing. */
export function paintStanding(standing: Standing, style: Style): (text: string) => string {
  switch (standing) {
    case "current":
      return style.green;
    case "failed":
      return style.red;
    case "updating":
      return style.cyan;
    case "pending":
    case "no_target":
      return style.yellow;
    case "waiting":
    case "rejected":
      return style.dim;
  }
}

/** The columns of a list of devices. */
export const DEVICE_COLUMNS: readonly Column[] = [
  { heading: "DEVICE" },
  { heading: "STANDING" },
  { heading: "CHANNEL" },
  { heading: "RUNS", right: true },
  { heading: "SEEN" },
  { heading: "NOW", flexible: true },
];

/** The cells of a device. */
export function deviceCells(device: DeviceRow, { nowMs, style }: { nowMs: number; style: Style }): readonly Cell[] {
  const clone = device.cloneSuspected ? "two machines use its key; " : "";
  return [
    { text: device.deviceId, paint: style.bold },
    { text: device.standing.replace("_", " "), paint: paintStanding(device.standing, style) },
    device.channel,
    device.runningRevision === null ? "-" : String(device.runningRevision),
    formatAgo(device.seenMs, nowMs),
    clone + describeDevice(device),
  ];
}
