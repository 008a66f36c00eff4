/**
 * What a terminal can show: colours, width, marks.
 * @module
 */

/** Colours and emphasis; plain text where the terminal or the user wants none. */
export interface Style {
  readonly bold: (text: string) => string;
  readonly dim: (text: string) => string;
  readonly red: (text: string) => string;
  readonly green: (text: string) => string;
  readonly yellow: (text: string) => string;
  readonly cyan: (text: string) => string;
}

/** The standard SGR codes (ECMA-48): on and off. */
const CODES = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  cyan: [36, 39],
} as const;

/** Makes a style. */
export function createStyle(colours: boolean): Style {
  const paint = (name: keyof typeof CODES) => (text: string): string =>
    colours ? `\u001b[${CODES[name][0]}m${text}\u001b[${CODES[name][1]}m` : text;
  return {
    bold: paint("bold"),
    dim: paint("dim"),
    red: paint("red"),
    green: paint("green"),
    yellow: paint("yellow"),
    cyan: paint("cyan"),
  };
}

/** What one output stream can show. */
export interface Terminal {
  readonly isTerminal: boolean;
  readonly colours: boolean;
  /** Whether characters beyond ASCII arrive as meant. */
  readonly unicode: boolean;
  /** Columns. */
  readonly width: number;
}

/** Width where there is no terminal to ask: what log viewers of CI show without wrapping. */
const WIDTH_WITHOUT_TERMINAL = 120;
/** Narrower than this is not worth fitting into. */
const WIDTH_MIN = 40;

/**
 * Decides what a stream can show. `NO_COLOR` (no-color.org) and `TERM=dumb` turn colours off.
 * @param columns Width of the terminal, or null where there is none.
 */
export function terminalOf(
  { isTerminal, columns, env }: {
    isTerminal: boolean;
    columns: number | null;
    env: (name: string) => string | undefined;
  },
): Terminal {
  const locale = env("LC_ALL") || env("LC_CTYPE") || env("LANG") || "";
  const dumb = env("TERM") === "dumb";
  return {
    isTerminal: isTerminal && !dumb,
    colours: isTerminal && !dumb && (env("NO_COLOR") ?? "") === "",
    unicode: /utf-?8/i.test(locale),
    width: Math.max(WIDTH_MIN, columns ?? WIDTH_WITHOUT_TERMINAL),
  };
}

const CSI = "\u001b[";

/** Removes the codes that {@link createStyle} adds. */
export function withoutStyle(text: string): string {
  return text.split(CSI).map((part, index) => index === 0 ? part : part.replace(/^\d+m/, "")).join("");
}

/** Columns that a text takes, its colours not counted. East Asian wide characters and emoji take two. */
export function columnsOf(text: string): number {
  let columns = 0;
  for (const character of withoutStyle(text)) columns += WIDE.test(character) ? 2 : COMBINING.test(character) ? 0 : 1;
  return columns;
}

const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}]/u;
const COMBINING = /\p{Mn}/u;

/** Cuts plain text to `max` columns with an ellipsis. */
export function cut(text: string, max: number, unicode: boolean): string {
  if (columnsOf(text) <= max) return text;
  const mark = unicode ? "…" : "...";
  let out = "";
  for (const character of text) {
    if (columnsOf(out) + columnsOf(character) > max - mark.length) break;
    out += character;
  }
  return max <= mark.length ? mark.slice(0, max) : `${out}${mark}`;
}
