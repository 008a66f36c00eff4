import assert from "node:assert/strict";
import { promptSecret, type PromptTerminal } from "./prompt.ts";

/** A terminal on which someone types; what it shows is kept. */
function typing(...pieces: (string | null)[]): PromptTerminal & { shown: string; raw: boolean } {
  const left = [...pieces];
  return {
    isTerminal: true,
    shown: "",
    raw: false,
    read() {
      assert.ok(this.raw, "it reads only while nothing is echoed");
      const piece = left.shift() ?? null;
      return Promise.resolve(piece === null ? null : new TextEncoder().encode(piece));
    },
    write(text) {
      if (text.endsWith(": ")) assert.ok(this.raw, "nothing is echoed from the question on");
      this.shown += text;
    },
    setRaw(raw) {
      this.raw = raw;
    },
  };
}

Deno.test("promptSecret() reads a line as it is edited, and shows nothing of it", async (t) => {
  const rows: [name: string, pieces: (string | null)[], expected: string | null][] = [
    ["a line", ["secret\n"], "secret"],
    ["letter by letter", [..."secret\r"], "secret"],
    ["a correction", ["secrex\u007ft\n"], "secret"],
    ["a correction of a letter with two bytes", ["secré\u007fet\n"], "secret"],
    ["everything anew", ["wrong\u0015secret\n"], "secret"],
    ["too many corrections", ["\u007f\u007fa\n"], "a"],
    ["nothing", ["\n"], ""],
    ["Ctrl-C", ["sec\u0003"], null],
    ["Ctrl-D", ["\u0004"], null],
    ["the end of input", ["sec", null], null],
  ];
  for (const [name, pieces, expected] of rows) {
    await t.step(name, async () => {
      const terminal = typing(...pieces);
      assert.equal(await promptSecret("Passphrase: ", terminal), expected);
      assert.equal(terminal.shown, "Passphrase: \n");
      assert.equal(terminal.raw, false);
    });
  }
});

Deno.test("promptSecret() puts the terminal right when reading fails", async () => {
  const terminal = typing();
  terminal.read = () => Promise.reject(new Error("gone"));
  await assert.rejects(promptSecret("Passphrase: ", terminal), /gone/);
  assert.equal(terminal.raw, false);
});

Deno.test("promptSecret() does not ask where there is no terminal", async () => {
  const terminal = { ...typing("secret\n"), isTerminal: false };
  await assert.rejects(
    promptSecret("Passphrase: ", terminal),
    /stdin is no terminal \(give it in a file\)/,
  );
});
