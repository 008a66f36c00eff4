/**
 * Everything the command line says: results on stdout, everything else on stderr.
 * @module
 */
import { cleanText } from "@nix-ota/common";
import { formatProgress, formatProgressPlain, type ProgressState } from "./progress.ts";
import { columnsOf, createStyle, type Style, type Terminal, terminalOf } from "./style.ts";
import { type Cell, type Column, formatTable } from "./table.ts";

/** How a step went. */
export type Mark = "ok" | "warn" | "fail" | "info";

/** A line on its way; `end` removes it from a terminal. */
export interface ProgressLine {
  update(state: ProgressState): void;
  end(): void;
}

/**
 * Where the command line speaks. With `--json` stdout has one JSON document in place of the result for people; steps,
 * warnings and errors go to stderr all the same.
 */
export interface Ui {
  readonly json: boolean;
  readonly style: Style;
  /** The stream that people read results on. */
  readonly terminal: Terminal;
  /** A step of the work, to stderr: mark, short title, sentence. Control characters in `text` are removed. */
  step(mark: Mark, title: string, text: string): void;
  /** A line below a step, to stderr. */
  detail(text: string): void;
  /**
   * Lines of the result for people, left out with `--json`. They may hold style codes, so whatever others wrote must be
   * cleaned of control characters before.
   */
  result(lines: readonly string[]): void;
  /** A table as result. */
  table(columns: readonly Column[], rows: readonly (readonly Cell[])[]): void;
  /** The result for programs; printed only with `--json`. */
  data(value: unknown): void;
  /** Shows progress on stderr. */
  progress(): ProgressLine;
}

/** What a {@link Ui} needs of the process. */
export interface Streams {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  readonly outTerminal: Terminal;
  readonly errTerminal: Terminal;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** The columns that the titles of steps take. */
const TITLE_COLUMNS = 10;
/** A bar is drawn at most this often, in milliseconds: smooth, and no load. */
const REDRAW_MS = 80;
/** A log gets a progress line at most this often, in milliseconds. */
const PLAIN_MS = 10_000;

const CLEAR_LINE = "\r\u001b[2K";

/** Makes a {@link Ui}. */
export function createUi(streams: Streams, json: boolean): Ui {
  const { errTerminal } = streams;
  const errStyle = createStyle(errTerminal.colours);
  const terminal = streams.outTerminal;
  const style = createStyle(terminal.colours);
  const result = (lines: readonly string[]): void => {
    if (!json) streams.out(lines.map((line) => `${line}\n`).join(""));
  };
  return {
    json,
    style,
    terminal,
    step: (mark, title, text) => streams.err(`${formatStep({ mark, title, text }, errTerminal, errStyle)}\n`),
    detail: (text) => streams.err(`${formatDetail(text, errTerminal, errStyle)}\n`),
    result,
    table: (columns, rows) => result(formatTable(columns, rows, { terminal, style })),
    data: (value) => {
      if (json) streams.out(`${JSON.stringify(value)}\n`);
    },
    progress: () => openProgress(streams, errStyle),
  };
}

const MARKS = {
  ok: { unicode: "✓", ascii: "+", colour: "green" },
  warn: { unicode: "!", ascii: "!", colour: "yellow" },
  fail: { unicode: "✗", ascii: "x", colour: "red" },
  info: { unicode: "·", ascii: "-", colour: "dim" },
} as const;

/** One step: mark, title, sentence; what is too long for the terminal goes on below the sentence. */
export function formatStep(
  { mark, title, text }: { mark: Mark; title: string; text: string },
  terminal: Terminal,
  style: Style,
): string {
  const { unicode, ascii, colour } = MARKS[mark];
  const head = `${style[colour](terminal.unicode ? unicode : ascii)} ${style.bold(title.padEnd(TITLE_COLUMNS))} `;
  return head + wrap(cleanText(text), roomBeside(terminal)).join(`\n${INDENT}`);
}

const INDENT = " ".repeat(TITLE_COLUMNS + 3);

/** Columns beside the titles; a log has no edge. */
function roomBeside({ isTerminal, width }: Terminal): number {
  return isTerminal ? width - INDENT.length - 1 : Number.MAX_SAFE_INTEGER;
}

function formatDetail(text: string, terminal: Terminal, style: Style): string {
  return wrap(cleanText(text), roomBeside(terminal)).map((line) => INDENT + style.dim(line)).join("\n");
}

/** Breaks a text into lines of at most `max` columns, between words; a longer word has a line for itself. */
export function wrap(text: string, max: number): string[] {
  return text.split("\n").flatMap((paragraph) => {
    const lines: string[] = [];
    let line = "";
    for (const word of paragraph.split(" ")) {
      if (line !== "" && columnsOf(line) + 1 + columnsOf(word) > max) {
        lines.push(line);
        line = word;
      } else {
        line = line === "" ? word : `${line} ${word}`;
      }
    }
    return [...lines, line];
  });
}

function openProgress({ err, errTerminal, now }: Streams, style: Style): ProgressLine {
  const everyMs = errTerminal.isTerminal ? REDRAW_MS : PLAIN_MS;
  let shownMs = errTerminal.isTerminal ? 0 : now();
  let drawn = false;
  return {
    update: (state) => {
      if (now() - shownMs < everyMs) return;
      shownMs = now();
      if (!errTerminal.isTerminal) return err(`${formatProgressPlain(state)}\n`);
      err(CLEAR_LINE + formatProgress(state, { terminal: errTerminal, style }));
      drawn = true;
    },
    end: () => {
      if (drawn) err(CLEAR_LINE);
      drawn = false;
    },
  };
}

/** The streams of this process. */
export function processStreams(env: (name: string) => string | undefined): Streams {
  const write = (stream: typeof Deno.stdout | typeof Deno.stderr) => (text: string): void => {
    const bytes = new TextEncoder().encode(text);
    try {
      for (let offset = 0; offset < bytes.length;) offset += stream.writeSync(bytes.subarray(offset));
    } catch (error) {
      // Whoever read it has enough, such as `head`: no reason to break off what is under way.
      if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
    }
  };
  return {
    out: write(Deno.stdout),
    err: write(Deno.stderr),
    outTerminal: terminalOf({ isTerminal: Deno.stdout.isTerminal(), columns: columns(), env }),
    errTerminal: terminalOf({ isTerminal: Deno.stderr.isTerminal(), columns: columns(), env }),
    now: () => Date.now(),
  };
}

function columns(): number | null {
  try {
    return Deno.consoleSize().columns || null;
  } catch {
    return null; // No terminal to ask.
  }
}
