import assert from "node:assert/strict";
import { formatProgress, formatProgressPlain } from "./progress.ts";
import { columnsOf, createStyle, cut, type Terminal, terminalOf, withoutStyle } from "./style.ts";
import { formatTable } from "./table.ts";
import { createUi, formatStep, type Streams, wrap } from "./ui.ts";

const PLAIN = createStyle(false);
const COLOURED = createStyle(true);
const WIDE: Terminal = { isTerminal: true, colours: false, unicode: true, width: 80 };

Deno.test("terminalOf() shows colours only where they are wanted", async (t) => {
  const rows: [name: string, isTerminal: boolean, env: Record<string, string>, colours: boolean][] = [
    ["a terminal", true, {}, true],
    ["a pipe", false, {}, false],
    ["NO_COLOR", true, { NO_COLOR: "1" }, false],
    ["NO_COLOR that is empty", true, { NO_COLOR: "" }, true],
    ["a dumb terminal", true, { TERM: "dumb" }, false],
  ];
  for (const [name, isTerminal, env, colours] of rows) {
    await t.step(
      name,
      () => assert.equal(terminalOf({ isTerminal, columns: 80, env: (key) => env[key] }).colours, colours),
    );
  }
});

Deno.test("terminalOf() knows width and letters", () => {
  const of = (columns: number | null, env: Record<string, string>): Terminal =>
    terminalOf({ isTerminal: true, columns, env: (key) => env[key] });
  assert.equal(of(null, {}).width, 120);
  assert.equal(of(10, {}).width, 40);
  assert.equal(of(80, { LANG: "de_DE.UTF-8" }).unicode, true);
  assert.equal(of(80, { LANG: "C.utf8" }).unicode, true);
  assert.equal(of(80, { LANG: "en_GB.UTF-8", LC_ALL: "C" }).unicode, false);
});

Deno.test("columnsOf() and cut() count what is seen", () => {
  assert.equal(columnsOf(COLOURED.red("abc")), 3);
  assert.equal(withoutStyle(COLOURED.bold(COLOURED.red("abc"))), "abc");
  assert.equal(columnsOf("日本"), 4);
  assert.equal(cut("abcdef", 6, true), "abcdef");
  assert.equal(cut("abcdefg", 6, true), "abcde…");
  assert.equal(cut("abcdefg", 6, false), "abc...");
  assert.equal(cut("日本語", 5, true), "日本…");
  assert.equal(cut("abc", 2, false), "..");
});

Deno.test("formatTable() lines up, cuts what is flexible, and lets nothing out of its cell", () => {
  const columns = [{ heading: "NAME" }, { heading: "N", right: true }, { heading: "NOTES", flexible: true }];
  const rows = [["a", "1", "short"], ["longer", "22", "x\u001b[2Jy\nz"], [
    { text: "日本", paint: COLOURED.red },
    "3",
    "",
  ]];
  const lines = formatTable(columns, rows, { terminal: WIDE, style: PLAIN });
  assert.deepEqual(lines.map(withoutStyle), [
    "NAME     N  NOTES",
    "a        1  short",
    "longer  22  xy z",
    "日本     3",
  ]);
  const narrow = { ...WIDE, width: 40 };
  const long = formatTable(columns, [["a", "1", "w".repeat(100)]], { terminal: narrow, style: PLAIN });
  assert.ok(long.every((line) => columnsOf(line) <= 40), long.join("\n"));
  assert.ok(long[1]?.endsWith("…"));
});

Deno.test("formatProgress() fits its line at every width", () => {
  for (let width = 40; width <= 200; width += 7) {
    for (const done of [0, 1, 2047, 4095, 4096]) {
      const line = formatProgress({ label: "cache", done, total: 4096, detail: "n".repeat(300) }, {
        terminal: { ...WIDE, width },
        style: COLOURED,
      });
      assert.ok(columnsOf(line) < Math.max(width, 60), `${width}: ${columnsOf(line)}`);
    }
  }
});

Deno.test("formatProgress() says how far it is", () => {
  const at = (done: number, total: number): string =>
    formatProgress({ label: "cache", done, total }, { terminal: { ...WIDE, unicode: false }, style: PLAIN });
  assert.match(at(0, 8), /^ {2}cache +-{24} {3}0% 0\/8$/);
  assert.match(at(4, 8), /#{12}-{12} {2}50% 4\/8$/);
  assert.match(at(8, 8), /#{24} 100% 8\/8$/);
  assert.match(at(9, 8), /100% 9\/8$/);
  assert.match(at(0, 0), /^ {2}cache +$/);
  assert.equal(formatProgressPlain({ label: "cache", done: 1, total: 8 }), "cache: 1 of 8");
});

Deno.test("formatStep() wraps beside its title", () => {
  const text = "word ".repeat(30).trim();
  const lines = formatStep({ mark: "ok", title: "cache", text }, { ...WIDE, width: 60 }, PLAIN).split("\n");
  assert.ok(lines.length > 2);
  assert.ok(lines.every((line) => columnsOf(line) < 60));
  assert.ok(lines.slice(1).every((line) => line.startsWith(" ".repeat(13))));
  assert.equal(lines.map((line) => line.trim()).join(" "), `✓ cache      ${text}`);
  assert.match(
    formatStep({ mark: "fail", title: "x", text: "a\u001b[2Jb" }, { ...WIDE, unicode: false }, PLAIN),
    /^x x +ab$/,
  );
});

Deno.test("wrap() keeps every word", () => {
  assert.deepEqual(wrap("a bb ccc", 4), ["a bb", "ccc"]);
  assert.deepEqual(wrap("a\nb", 10), ["a", "b"]);
  assert.deepEqual(wrap("toolongword a", 4), ["toolongword", "a"]);
  assert.deepEqual(wrap("", 4), [""]);
});

/** Streams that keep what is written, with a clock that is set by hand. */
function recorder(
  isTerminal: boolean,
): { streams: Streams; out: () => string; err: () => string; setMs: (ms: number) => void } {
  let [out, err, ms] = ["", "", 0];
  const terminal = { ...WIDE, isTerminal };
  const streams = {
    out: (text: string) => void (out += text),
    err: (text: string) => void (err += text),
    outTerminal: terminal,
    errTerminal: terminal,
    now: () => ms,
  };
  return { streams, out: () => out, err: () => err, setMs: (value) => void (ms = value) };
}

Deno.test("createUi() draws a bar on a terminal, not too often, and takes it away", () => {
  const { streams, err, setMs } = recorder(true);
  const line = createUi(streams, false).progress();
  setMs(1000);
  line.update({ label: "cache", done: 1, total: 2 });
  setMs(1010);
  line.update({ label: "cache", done: 2, total: 2 });
  assert.equal(err().match(/50%/g)?.length, 1);
  assert.ok(!err().includes("100%"), "10 ms later is too soon");
  line.end();
  assert.ok(err().endsWith("\r\u001b[2K"));
});

Deno.test("createUi() writes a plain line now and then where there is no terminal", () => {
  const { streams, err, setMs } = recorder(false);
  const line = createUi(streams, false).progress();
  for (let ms = 0; ms <= 25_000; ms += 100) {
    setMs(ms);
    line.update({ label: "cache", done: ms / 100, total: 250 });
  }
  line.end();
  assert.equal(err(), "cache: 100 of 250\ncache: 200 of 250\n");
});

Deno.test("createUi() with --json keeps stdout for one document", () => {
  const { streams, out, err } = recorder(false);
  const ui = createUi(streams, true);
  ui.step("ok", "cache", "fine");
  ui.result(["for people"]);
  ui.table([{ heading: "A" }], [["x"]]);
  ui.data({ a: 1 });
  assert.equal(out(), '{"a":1}\n');
  assert.equal(err(), "✓ cache      fine\n");
});
