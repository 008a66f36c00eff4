/**
 * What happened last, in sentences made from what devices and releases look like now.
 * @module
 */
import { type DeviceRow, type DeviceState, parseTimestamp, type ReleaseRow, unreachable } from "@nix-ota/common";
import { PHASE_LABELS, plain, reasonSentence, RESULT_TONES, type Tone } from "./words.ts";

/** One line of the list. */
export interface Happening {
  /** Milliseconds since 1970. */
  readonly atMs: number;
  /** What it happened to: a device's name, or a channel's. */
  readonly subject: string;
  readonly subjectKind: "device" | "channel";
  readonly tone: Tone;
  /** Goes on after the subject: `runs release 43`. */
  readonly text: string;
}

/** Most lines kept: what fits beside the table. */
export const HAPPENINGS_MAX = 12;

/** A release's publication. */
export function releaseHappening(release: ReleaseRow): Happening {
  const notes = release.notes === "" ? "" : `: ${plain(release.notes)}`;
  return {
    atMs: release.publishedMs,
    subject: release.channel,
    subjectKind: "channel",
    tone: "plain",
    text: `got release ${release.revision}${notes}`,
  };
}

/** The last thing that a device is known to have done. */
export function deviceHappening(device: DeviceRow): Happening {
  return { ...stateOf(device), subject: device.deviceId, subjectKind: "device" };
}

/** What a changed device did, or null where the change is no news, such as one more megabyte. */
export function deviceNews(before: DeviceRow | undefined, after: DeviceRow): Happening | null {
  const now = deviceHappening(after);
  if (before && deviceHappening(before).text === now.text) return null;
  // The server's clock is the better one; the device's own time is all there is before this page was opened.
  return before ? { ...now, atMs: after.seenMs ?? now.atMs } : now;
}

type Told = Pick<Happening, "atMs" | "tone" | "text">;

function stateOf(device: DeviceRow): Told {
  const { status, enrolledMs, seenMs, state, standing } = device;
  if (status === "pending") return { atMs: enrolledMs, tone: "warn", text: "asks to join" };
  if (status === "rejected") return { atMs: enrolledMs, tone: "plain", text: "was rejected" };
  if (state === null || seenMs === null) return { atMs: enrolledMs, tone: "plain", text: "joined" };
  // A device's clock may run ahead: nothing that was reported happened after its report.
  const atMs = Math.min(parseTimestamp(state.since) ?? seenMs, seenMs);
  if (standing === "no_target") return { atMs, tone: "warn", text: "finds no build for its kind" };
  if (state.phase !== "idle") return { atMs, tone: "busy", text: phaseText(state) };
  if (state.result === null) return { atMs, tone: "plain", text: `is idle${on(device)}` };
  return { atMs, tone: RESULT_TONES[state.result], text: resultText(device, state) };
}

function phaseText({ phase, target }: DeviceState): string {
  const release = target ? ` release ${target.revision}` : "";
  switch (phase) {
    case "staging":
      return `is downloading${release}`;
    case "staged":
      return `has downloaded${release}`;
    case "activating":
      return `is activating${release}`;
    case "probation":
      return `checks its health with${release || " the new system"}`;
    case "rebooting":
      return `restarts into${release || " the new system"}`;
    default:
      return `is ${PHASE_LABELS[phase].toLowerCase()}`;
  }
}

function resultText(device: DeviceRow, { result, reason, target }: DeviceState): string {
  const runs = device.runningRevision ?? target?.revision;
  const release = target ? `release ${target.revision}` : "a release";
  const why = reason === null ? "" : `: ${reasonSentence(reason)}`;
  switch (result) {
    case null:
    case "succeeded":
      return runs === undefined ? "runs a system that no release knows" : `runs release ${runs}`;
    case "succeeded_with_warnings":
      return `runs ${release} with warnings${why}`;
    case "pending_reboot":
      return `will run ${release} from its next restart on`;
    case "rolled_back":
      return `rolled back ${release}${why}`;
    case "failed_before_activation":
      return `could not take ${release}${why}`;
    case "rollback_failed":
      return `could not go back from ${release}${why}`;
    case "refused":
      return `refused ${release}${why}`;
    case "skipped":
      return `skipped ${release}${why}`;
    default:
      return unreachable(result);
  }
}

function on(device: DeviceRow): string {
  return device.runningRevision === null ? "" : ` on release ${device.runningRevision}`;
}

/** The newest lines of what is known when the page is made. */
export function firstHappenings(devices: readonly DeviceRow[], releases: readonly ReleaseRow[]): readonly Happening[] {
  return newest([...devices.map(deviceHappening), ...releases.map(releaseHappening)]);
}

/** The newest {@link HAPPENINGS_MAX}, newest first. */
export function newest(happenings: readonly Happening[]): readonly Happening[] {
  return happenings.toSorted((a, b) => b.atMs - a.atMs).slice(0, HAPPENINGS_MAX);
}
