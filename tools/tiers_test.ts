import assert from "node:assert/strict";
import { formatResults, parseClosingLine, type TierResult } from "./tiers.ts";

Deno.test("parseClosingLine() reads what deno test ends with", async (t) => {
  const cases: [output: string, expected: ReturnType<typeof parseClosingLine>][] = [
    ["x ... ok (1ms)\n\nok | 4 passed | 0 failed (10ms)\n", { passed: 4, failed: 0, skipped: 0 }],
    ["ok | 1 passed (3 steps) | 0 failed | 2 ignored (1s)", { passed: 1, failed: 0, skipped: 2 }],
    ["FAILED | 7 passed | 2 failed (10ms)\n\nerror: Test failed\n", { passed: 7, failed: 2, skipped: 0 }],
    ["error: Uncaught", null],
  ];
  for (const [output, expected] of cases) {
    await t.step(JSON.stringify(output), () => assert.deepEqual(parseClosingLine(output), expected));
  }
});

Deno.test("formatResults() closes with a plain line and names what was skipped", () => {
  const ran: TierResult = { name: "unit", passed: 3, failed: 1, skipped: 0, seconds: 2, skippedBecause: null };
  const not: TierResult = { ...ran, name: "vm", passed: 0, failed: 0, skippedBecause: "no qemu" };
  assert.equal(formatResults([ran]).split("\n").at(-1), "3 passed, 1 failed");
  assert.equal(formatResults([ran, not]).split("\n").at(-1), "3 passed, 1 failed, 1 skipped");
  assert.match(formatResults([not]), /vm +SKIPPED: no qemu/);
});
