/**
 * Times and durations as documents and people write them.
 * @module
 */
import { show } from "./schema.ts";

const TIMESTAMP_PATTERN = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$/;

/** Milliseconds since 1970 of a time (protocol 2.1) written `YYYY-MM-DDTHH:MM:SSZ`, or null where it is not one (30 February is not). */
export function parseTimestamp(text: string): number | null {
  if (!TIMESTAMP_PATTERN.test(text)) return null;
  const ms = Date.parse(text);
  return Number.isNaN(ms) || formatTimestamp(ms) !== text ? null : ms;
}

/**
 * Prints milliseconds since 1970 as `YYYY-MM-DDTHH:MM:SSZ` (RFC 3339), rounding down to the second. Years 0 to 9999.
 * @throws {RangeError} If `ms` is not a number or further than 8.64e15 from 1970.
 */
export function formatTimestamp(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}

const UNIT_SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };

/** Longest duration that makes sense to write down: 10 years of 365 days. */
const DURATION_MAX_SECONDS = 3650 * 86_400;

/**
 * Reads a duration of one number and one unit: `90s`, `15m`, `12h`, `90d` or `2w`.
 * @returns Whole seconds, at least 1.
 * @throws {TypeError} Where it is not one, is nothing, or is longer than 10 years.
 */
export function parseDuration(text: string): number {
  const [, count = "", unit = ""] = /^(\d{1,9})([smhdw])$/.exec(text) ?? [];
  const seconds = Number(count) * (UNIT_SECONDS[unit] ?? 0);
  if (seconds < 1 || seconds > DURATION_MAX_SECONDS) {
    throw new TypeError(
      `Cannot read the duration ${show(text)}: wanted such as 90s, 15m, 12h, 90d or 2w, from 1s to 3650d`,
    );
  }
  return seconds;
}

/** A duration for people, in its two largest units: `2 d 3 h`, `4 min 5 s`, `12 s`. Input in seconds. */
export function formatDuration(seconds: number): string {
  let rest = Math.max(0, Math.round(seconds));
  const parts: string[] = [];
  for (const [unit, size] of [["d", 86_400], ["h", 3600], ["min", 60], ["s", 1]] as const) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count > 0) parts.push(`${count} ${unit}`);
  }
  return parts.slice(0, 2).join(" ") || "0 s";
}

/** A size for people in binary units (IEC 80000-13): `27.9 MiB`. Input in bytes, not negative. */
export function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  // What would be printed as 1024 of a unit is 1.0 of the next.
  while (Math.round(value) >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}
