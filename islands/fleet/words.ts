/**
 * What devices and releases are called on the screen: every code as words, every time and size for people.
 * @module
 */
import {
  cleanLine,
  type DeviceState,
  ERROR_CODES,
  formatBytes,
  isErrorCode,
  type Phase,
  type Reason,
  REASONS,
  type Result,
  type Standing,
  type StandingCounts,
} from "@nix-ota/common";

/** Each standing as a label, in the order in which people want to know: what needs them first, then what moves. */
export const STANDING_LABELS: Readonly<Record<Standing, string>> = {
  failed: "Failed",
  pending: "Asks to join",
  no_target: "No build",
  updating: "Updating",
  waiting: "Waiting",
  current: "Up to date",
  rejected: "Rejected",
};

/** Each standing in a sentence for those who wonder what it means. */
export const STANDING_HELP: Readonly<Record<Standing, string>> = {
  failed: "The last attempt failed: the device runs what it ran before",
  pending: "A new device waits for an operator to accept its key",
  no_target: "The current release has no system for this kind of device",
  updating: "The device is on its way to the current release",
  waiting: "The device has not begun with the current release",
  current: "The device runs its channel's current release",
  rejected: "An operator refused this device",
};

/** Each phase as a label. */
export const PHASE_LABELS: Readonly<Record<Phase, string>> = {
  idle: "Idle",
  staging: "Downloading",
  staged: "Downloaded",
  activating: "Activating",
  probation: "Checking health",
  rebooting: "Restarting",
  rolling_back: "Rolling back",
};

/** Each result as a label. */
export const RESULT_LABELS: Readonly<Record<Result, string>> = {
  succeeded: "Succeeded",
  succeeded_with_warnings: "Succeeded with warnings",
  pending_reboot: "Takes effect at the next restart",
  rolled_back: "Rolled back",
  failed_before_activation: "Failed before activation",
  rollback_failed: "Rollback failed",
  refused: "Refused",
  skipped: "Skipped",
};

/** How a thing bears on people: chooses colours. */
export type Tone = "good" | "busy" | "bad" | "warn" | "plain";

/** The tone of each result. */
export const RESULT_TONES: Readonly<Record<Result, Tone>> = {
  succeeded: "good",
  succeeded_with_warnings: "warn",
  pending_reboot: "warn",
  rolled_back: "bad",
  failed_before_activation: "bad",
  rollback_failed: "bad",
  refused: "bad",
  skipped: "plain",
};

/** Longest device-supplied text on the overview, in UTF-16 code units; the device's own page shows all of it. */
const TEXT_MAX = 160;

/** Text from a device or a publisher, on one line and without marks that could play tricks with the line. */
export function plain(text: string, max: number = TEXT_MAX): string {
  return cleanLine(text, max);
}

/** A reason such as `health_failed:exit 3` as the sentence that says what to do; a code not known here stays as it is. */
export function reasonSentence(reason: string): string {
  const colon = reason.indexOf(":");
  const code = colon < 0 ? reason : reason.slice(0, colon);
  const about = colon < 0 ? "" : ` (${plain(reason.slice(colon + 1))})`;
  return `${sentenceOf(code) ?? plain(code)}${about}`;
}

function sentenceOf(code: string): string | null {
  if (Object.hasOwn(REASONS, code)) return REASONS[code as Reason]; // Its own key, as the line's beginning says.
  return isErrorCode(code) ? ERROR_CODES[code].title : null;
}

/** How long ago in its largest unit: `just now`, `12 s ago`, `3 d ago`. Both in milliseconds since 1970. */
export function ago({ atMs, nowMs }: { atMs: number; nowMs: number }): string {
  const seconds = Math.floor((nowMs - atMs) / 1000);
  if (seconds < 5) return "just now"; // Clocks differ a little: what lies ahead is now.
  for (const [unit, size] of [["d", 86_400], ["h", 3600], ["min", 60]] as const) {
    if (seconds >= size) return `${Math.floor(seconds / size)} ${unit} ago`;
  }
  return `${seconds} s ago`;
}

/** The exact time, `2026-01-31 12:00:00 UTC`. */
export function exactTime(ms: number): string {
  return `${isoTime(ms).slice(0, 19).replace("T", " ")} UTC`;
}

/** The time for `datetime` attributes. A number beyond what dates can hold is shown as 1970. */
export function isoTime(ms: number): string {
  const date = new Date(ms);
  return (Number.isNaN(date.getTime()) ? new Date(0) : date).toISOString();
}

/** Beginning of a fingerprint, enough to tell keys apart at a glance: `SHA256:AbCdEfGhIj…`. */
export function shortFingerprint(fingerprint: string): string {
  const SHOWN = 18;
  const text = plain(fingerprint);
  return text.length <= SHOWN ? text : `${text.slice(0, SHOWN - 1)}…`;
}

/** `1 device`, `3 devices`. */
export function count(number: number, noun: string): string {
  return `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
}

/** The devices that a release is meant for: all but those that may not take part. */
export function participants(counts: StandingCounts): number {
  return counts.current + counts.waiting + counts.updating + counts.failed + counts.no_target;
}

/** A channel's progress in one sentence, for those who cannot see the bar. */
export function spokenProgress(counts: StandingCounts): string {
  const others = (["updating", "waiting", "failed", "no_target"] as const)
    .filter((standing) => counts[standing] > 0)
    .map((standing) => `${counts[standing]} ${STANDING_LABELS[standing].toLowerCase()}`);
  const total = count(participants(counts), "device");
  return [`${counts.current} of ${total} up to date`, ...others].join(", ");
}

/** How far a download is. */
export type Download = NonNullable<DeviceState["progress"]>;

/** A download's bytes, in one unit where they share it: `12.0 of 40.1 MiB`. */
export function bytesWords({ bytes, ofBytes }: Download): string {
  const [part, whole] = [formatBytes(bytes), formatBytes(ofBytes)];
  const unit = whole.slice(whole.indexOf(" "));
  return `${part.endsWith(unit) ? part.slice(0, -unit.length) : part} of ${whole}`;
}

/** A download's paths: `3 of 9 paths`. */
export function pathsWords({ paths, ofPaths }: Download): string {
  return `${paths} of ${count(ofPaths, "path")}`;
}
