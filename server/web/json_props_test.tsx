import assert from "node:assert/strict";
import { checkProps, jsonForHtml } from "./json_props.ts";

Deno.test("checkProps() lets plain JSON pass", () => {
  checkProps("Fleet", { a: null, b: "x", c: 1.5, d: true, e: [{ f: [] }], g: undefined });
});

Deno.test("checkProps() names the island, the place and what was found", async (t) => {
  const cases: [value: unknown, at: RegExp][] = [
    [() => 1, /"rows\[1\]\.x" to the island Fleet: wanted plain JSON, found function/],
    [new Date(0), /found a Date/],
    [new Map(), /found a Map/],
    [NaN, /found NaN/],
    [10n, /found bigint/],
    [undefined, /found undefined/],
    [<b key="x">x</b>, /found an element/],
    [Object.create(null), /found a null-prototype object/],
  ];
  for (const [value, pattern] of cases) {
    await t.step(String(pattern), () => {
      assert.throws(() => checkProps("Fleet", { rows: [{ x: 1 }, { x: value }] }), pattern);
    });
  }
});

Deno.test("jsonForHtml() leaves nothing that could end the block, and stays the same JSON", () => {
  const value = ["</script>", "<!--", "<script>", "\u2028", "]]>"];
  const text = jsonForHtml(value);
  assert.equal(text.includes("<"), false);
  assert.deepEqual(JSON.parse(text), value);
});
