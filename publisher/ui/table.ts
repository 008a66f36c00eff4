/**
 * Tables for people.
 * @module
 */
import { cleanLine } from "@nix-ota/common";
import { columnsOf, cut, type Style, type Terminal } from "./style.ts";

/** A column: its heading, its side, and whether it gives way where the terminal is narrow. */
export interface Column {
  readonly heading: string;
  readonly right?: boolean;
  /** Cut first where the table is too wide. */
  readonly flexible?: boolean;
}

/** A cell: text from anywhere, and how to paint it after it was cleaned and cut. */
export type Cell = string | { readonly text: string; readonly paint: (text: string) => string };

/** Longest cell in UTF-16 code units. */
const CELL_MAX = 300;
const GAP = "  ";
/** A flexible column is never cut below this. */
const FLEXIBLE_MIN = 8;

/** Prints a table: headings, then rows, without lines. Nothing in a cell can reach the terminal's controls. */
export function formatTable(
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
  { terminal, style }: { terminal: Terminal; style: Style },
): string[] {
  const cells = rows.map((row) => row.map(toCell));
  const widths = fit(columns, cells, terminal.width);
  const line = (row: readonly { text: string; paint: (text: string) => string }[]): string =>
    row.map(({ text, paint }, at) => {
      const width = widths[at] ?? 0;
      const shown = cut(text, width, terminal.unicode);
      const pad = " ".repeat(Math.max(0, width - columnsOf(shown)));
      return columns[at]?.right === true ? `${pad}${paint(shown)}` : `${paint(shown)}${pad}`;
    }).join(GAP).trimEnd();
  return [line(columns.map(({ heading }) => ({ text: heading, paint: style.dim }))), ...cells.map(line)];
}

function toCell(cell: Cell): { text: string; paint: (text: string) => string } {
  const { text, paint } = typeof cell === "string" ? { text: cell, paint: (same: string) => same } : cell;
  return { text: cleanLine(text, CELL_MAX), paint };
}

function fit(columns: readonly Column[], cells: readonly (readonly { text: string }[])[], total: number): number[] {
  const widths = columns.map(({ heading }, at) =>
    cells.reduce((most, row) => Math.max(most, columnsOf(row[at]?.text ?? "")), columnsOf(heading))
  );
  let excess = widths.reduce((sum, width) => sum + width, 0) + GAP.length * (columns.length - 1) - total;
  columns.forEach(({ flexible }, at) => {
    const width = widths[at] ?? 0;
    if (flexible !== true || excess <= 0) return;
    const give = Math.min(excess, Math.max(0, width - FLEXIBLE_MIN));
    widths[at] = width - give;
    excess -= give;
  });
  return widths;
}
