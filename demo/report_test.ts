import assert from "node:assert/strict";
import { formatTable, openReport } from "./report.ts";

function openQuiet(): { lines: string[]; report: ReturnType<typeof openReport> } {
  const lines: string[] = [];
  let clock = 0;
  const report = openReport({ write: (text) => lines.push(text), isTerminal: false, now: () => clock += 500 });
  return { lines, report };
}

Deno.test("step() compares what was seen with what was expected, and a throw is seen as its message", async () => {
  const { lines, report } = openQuiet();
  assert.equal(await report.step("same", "a", () => Promise.resolve("a")), true);
  assert.equal(await report.step("pattern", { says: "some a", matches: /^a+$/ }, () => Promise.resolve("aaa")), true);
  assert.equal(await report.step("other", "a", () => Promise.resolve("b")), false);
  assert.equal(await report.step("thrown", "a", () => Promise.reject(new Error("no cache"))), false);
  assert.deepEqual(report.rows.map((row) => row.seen), ["a", "aaa", "b", "failed: no cache"]);
  assert.match(lines.join(""), /WRONG .* 3\. other - expected: a; seen: b\n/);
});

Deno.test("formatTable() ends by saying how many steps went wrong", async () => {
  const { report } = openQuiet();
  await report.step("one", "a", () => Promise.resolve("a"));
  assert.match(formatTable(report.rows), /all 1 steps as expected$/);
  await report.step("two", "a", () => Promise.resolve("x".repeat(200)));
  assert.match(formatTable(report.rows), /x…\n/);
  assert.match(formatTable(report.rows), /1 of 2 steps NOT as expected$/);
});
