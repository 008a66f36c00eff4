import assert from "node:assert/strict";
import { lastLineOf, logTailOf } from "./log_tail.ts";

Deno.test("logTailOf() keeps the end, without secrets, within the limit that its JSON form has", () => {
  const log = `password=hunter2\n${'say "x"\n'.repeat(20_000)}the end\n`;
  const tail = logTailOf(log, 10_000);
  assert.ok(new TextEncoder().encode(JSON.stringify(tail)).length <= 10_000);
  assert.ok(tail.endsWith("the end\n"));
  assert.doesNotMatch(logTailOf("password=hunter2\n", 1000), /hunter2/);
  assert.equal(logTailOf("", 100), "");
  assert.ok(logTailOf("\u0001\u001b[31m\ud800".repeat(5000), 1000).length <= 1000);
});

Deno.test("lastLineOf() gives the last line that says something, clean", () => {
  assert.equal(lastLineOf("a\n\u001b[31merror: b\u001b[0m\n \n"), "error: b");
  assert.equal(lastLineOf("\n \n"), null);
  assert.ok((lastLineOf("x".repeat(9999))?.length ?? 0) <= 300);
});
