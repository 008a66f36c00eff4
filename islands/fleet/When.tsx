import type { JSX } from "preact";
import { ago, exactTime, isoTime } from "./words.ts";

/** A time as how long ago it was, exact on hover. Milliseconds since 1970. */
export function When({ atMs, nowMs }: { atMs: number; nowMs: number }): JSX.Element {
  return <time dateTime={isoTime(atMs)} title={exactTime(atMs)}>{ago({ atMs, nowMs })}</time>;
}
