/**
 * Log lines: one JSON object a line, made safe for terminals and log stores.
 * @module
 */
import { cleanLine, redact } from "./text.ts";
import { formatTimestamp } from "./time.ts";

/** How much a line matters. */
export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;
/** One of {@link LOG_LEVELS}. */
export type LogLevel = typeof LOG_LEVELS[number];

/** What a line may carry besides its event. */
export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined>>;

/** Writes one line; the caller decides where to. */
export type Log = (level: LogLevel, event: string, fields?: LogFields) => void;

/** Longest text value in a log line, in UTF-16 code units. */
export const LOG_VALUE_MAX = 2048;

/**
 * Prints one line without a line end. Text values are cleaned, rid of what looks like a secret and cut to
 * {@link LOG_VALUE_MAX}. `time`, `level` and `event` are the line's own: fields of these names are left out.
 */
export function formatLogLine({ level, event, fields = {}, nowMs }: {
  level: LogLevel;
  event: string;
  fields?: LogFields;
  nowMs: number;
}): string {
  const out: Record<string, string | number | boolean | null> = { time: formatTimestamp(nowMs), level, event };
  for (const [key, value] of Object.entries(fields)) {
    if (value === undefined || Object.hasOwn(out, key)) continue;
    out[key] = typeof value === "string" ? cleanLine(redact(value), LOG_VALUE_MAX) : value;
  }
  return JSON.stringify(out);
}

/**
 * A log that hands lines at or above the level `least` to `write`, line end included.
 * @param now Milliseconds since 1970.
 */
export function createLog({ write, now, least = "info" }: {
  write: (line: string) => void;
  now: () => number;
  least?: LogLevel;
}): Log {
  const from = LOG_LEVELS.indexOf(least);
  return (level, event, fields) => {
    if (LOG_LEVELS.indexOf(level) < from) return;
    write(`${formatLogLine({ level, event, fields: fields ?? {}, nowMs: now() })}\n`);
  };
}
