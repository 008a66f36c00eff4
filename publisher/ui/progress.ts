/**
 * How far something is, as one line.
 * @module
 */
import { cut, type Style, type Terminal } from "./style.ts";

/** What a progress line shows. */
export interface ProgressState {
  readonly label: string;
  readonly done: number;
  /** 0 where it is not known. */
  readonly total: number;
  /** What is being done, such as the path at hand; cut to fit. */
  readonly detail?: string;
}

const BAR_COLUMNS = 24;
const LABEL_COLUMNS = 10;

/** One line for a terminal, at most its width less one, so that it never wraps. */
export function formatProgress(
  state: ProgressState,
  { terminal, style }: { terminal: Terminal; style: Style },
): string {
  const { done, total, detail = "" } = state;
  const label = state.label.padEnd(LABEL_COLUMNS);
  const share = total > 0 ? Math.min(1, done / total) : 0;
  const filled = Math.floor(share * BAR_COLUMNS);
  const [full, empty] = terminal.unicode ? ["━", "─"] : ["#", "-"];
  const bar = total > 0 ? `${style.cyan(full.repeat(filled))}${style.dim(empty.repeat(BAR_COLUMNS - filled))} ` : "";
  const counts = total > 0 ? `${String(Math.floor(share * 100)).padStart(3)}% ${done}/${total}` : "";
  const used = 2 + label.length + 1 + (total > 0 ? BAR_COLUMNS + 1 : 0) + counts.length + 2;
  const room = terminal.width - 1 - used;
  const tail = room >= 8 ? cut(detail, room, terminal.unicode) : "";
  return `  ${style.bold(label)} ${bar}${counts}${tail === "" ? "" : `  ${style.dim(tail)}`}`;
}

/** One line for a log. */
export function formatProgressPlain({ label, done, total, detail }: ProgressState): string {
  return total > 0 ? `${label}: ${done} of ${total}` : `${label}: ${detail ?? "working"}`;
}
