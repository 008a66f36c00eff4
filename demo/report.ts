/**
 * What the demo shows: one line per step with what was expected and seen, a table at the end, and the facts as JSON.
 * @module
 */

/** One thing that was tried. */
export interface StepRow {
  readonly step: string;
  readonly expected: string;
  readonly seen: string;
  readonly ok: boolean;
  readonly seconds: number;
}

/** What a step should come to: the very text, or a pattern with words for it. */
export type Expected = string | { readonly says: string; readonly matches: RegExp };

/** Figures of the run, for `--json` and the closing lines. */
export type Facts = Record<string, string | number>;

/** Where the rows go. */
export interface Report {
  readonly rows: readonly StepRow[];
  readonly facts: Facts;
  /** A line that is no step: what is being prepared. */
  say(line: string): void;
  /** Does something and compares what was seen with what was expected; a failure is seen as its message. */
  step(name: string, expected: Expected, work: () => Promise<string>): Promise<boolean>;
}

/** How the report writes. */
export interface ReportOptions {
  readonly write: (text: string) => void;
  readonly isTerminal: boolean;
  readonly now: () => number;
}

const MARKS = { ok: "ok", wrong: "WRONG" } as const;

/** Opens a report; times in milliseconds from `now`. */
export function openReport({ write, isTerminal, now }: ReportOptions): Report {
  const rows: StepRow[] = [];
  const facts: Facts = {};
  const colour = (code: number, text: string): string => isTerminal ? `\u001b[${code}m${text}\u001b[0m` : text;

  async function step(name: string, expected: Expected, work: () => Promise<string>): Promise<boolean> {
    const startedMs = now();
    let seen: string;
    try {
      seen = await work();
    } catch (error) {
      seen = `failed: ${error instanceof Error ? error.message : String(error)}`;
    }
    const ok = typeof expected === "string" ? seen === expected : expected.matches.test(seen);
    const words = typeof expected === "string" ? expected : expected.says;
    const row = { step: name, expected: words, seen, ok, seconds: (now() - startedMs) / 1000 };
    rows.push(row);
    const mark = ok ? colour(32, MARKS.ok.padEnd(5)) : colour(31, MARKS.wrong);
    const time = colour(2, `${row.seconds.toFixed(1).padStart(5)} s`);
    const outcome = `${colour(2, "expected:")} ${words}; ${colour(2, "seen:")} ${ok ? seen : colour(31, seen)}`;
    write(`${mark} ${time}  ${String(rows.length).padStart(2)}. ${colour(1, name)} - ${outcome}\n`);
    return ok;
  }
  return { rows, facts, step, say: (line) => write(`${colour(2, `             · ${line}`)}\n`) };
}

const SEEN_WIDTH = 56;

/** The closing table. */
export function formatTable(rows: readonly StepRow[]): string {
  const cut = (text: string): string => {
    const line = text.replaceAll(/\s+/g, " ");
    return line.length > SEEN_WIDTH ? `${line.slice(0, SEEN_WIDTH - 1)}…` : line;
  };
  const width = Math.max(...rows.map((row) => row.step.length));
  const lines = rows.map((row, index) =>
    `${String(index + 1).padStart(3)}  ${row.step.padEnd(width)}  ${(row.ok ? MARKS.ok : MARKS.wrong).padEnd(5)}  ${
      cut(row.seen)
    }`
  );
  const rule = "-".repeat(Math.max(...lines.map((line) => line.length)));
  const wrong = rows.filter((row) => !row.ok).length;
  const closing = wrong === 0
    ? `all ${rows.length} steps as expected`
    : `${wrong} of ${rows.length} steps NOT as expected`;
  return [rule, ...lines, rule, closing].join("\n");
}
