import assert from "node:assert/strict";
import { COMMANDS } from "./commands/mod.ts";
import { EXIT_MEANINGS } from "./errors.ts";

const PAGE = await Deno.readTextFile(new URL("../docs/command-line.md", import.meta.url));

Deno.test("docs/command-line.md lists every exit code as the program means it, and no other", () => {
  const rows = [...PAGE.matchAll(/^\| (\d+) +\| (.*?) +\|$/gm)].map(([, code, meaning]) => [Number(code), meaning]);
  assert.deepEqual(rows, EXIT_MEANINGS.map(([code, meaning]) => [code, meaning]));
});

Deno.test("docs/command-line.md lists every command", () => {
  const missing = COMMANDS.map(({ name }) => name).filter((name) => !PAGE.includes(`${name}\``));
  assert.deepEqual(missing, []);
});

Deno.test("docs/command-line.md names only options that there are", () => {
  const known = new Set(COMMANDS.flatMap(({ options }) => options.map(({ flags }) => flags.split(" ")[0])));
  const general = ["--help", "--json"];
  const unknown = [...PAGE.matchAll(/(?<![\w-])--[a-z][a-z-]+/g)].map(([flag]) => flag)
    .filter((flag) => !known.has(flag) && !general.includes(flag));
  assert.deepEqual(unknown, []);
});
