import assert from "node:assert/strict";
import { formatHex } from "@nix-ota/common";
import { formatNix32, formatSri, parseNix32, parseSha256 } from "./nix32.ts";

/** The same hashes as `nix hash convert` prints them. */
const PAIRS: [sri: string, nix32: string][] = [
  ["sha256-zUx/7bu4NtCzcz/1TQU/ZWfQw4geOOPcwS1dn1qWkvs=", "1ywjjrd9yp9dq7ff6f0yi31x0rv57w2lvx9zffrx0dmqpgnpyk6d"],
  ["sha256-HDfQGvQL4ugGkd48w99EN3ppmvuxfGjwgJZLL9Bx/BM=", "04zwf782yjwnh3q6hz5izfd6jyip8kgw6g6yj43fiqhbyhdd0dqw"],
  ["sha256-tm7kWKe5KcgfFJR3pS/uzG9zdgMgiSx10iRvENZ5ABA=", "0400g7b10vr4s9sjr2900dv76vycxqpsaxwl2hgwhadrlxcf8vmn"],
];

Deno.test("formatNix32() and parseNix32() agree with Nix", async (t) => {
  for (const [sri, nix32] of PAIRS) {
    await t.step(nix32, () => {
      const bytes = parseSha256(sri);
      assert.ok(bytes);
      assert.equal(formatNix32(bytes), nix32);
      assert.deepEqual(parseNix32(nix32, 32), bytes);
      assert.equal(formatSri(bytes), sri);
      for (const form of [`sha256:${nix32}`, `sha256:${formatHex(bytes)}`, sri.replace("-", ":")]) {
        assert.deepEqual(parseSha256(form), bytes, form);
      }
    });
  }
});

Deno.test("parseNix32() takes back every length that formatNix32() prints", () => {
  for (let length = 1; length <= 64; length++) {
    const bytes = crypto.getRandomValues(new Uint8Array(length));
    assert.deepEqual(parseNix32(formatNix32(bytes), length), bytes);
  }
});

Deno.test("parseNix32() and parseSha256() refuse what is not exactly one", async (t) => {
  const [, good] = PAIRS[0]!;
  await t.step("letters outside the alphabet", () => {
    for (const letter of "eoutEOUTA -+") assert.equal(parseNix32(letter + good.slice(1), 32), null);
  });
  await t.step("bits beyond the last byte", () => assert.equal(parseNix32(`z${good.slice(1)}`, 32), null));
  for (
    const text of [
      "",
      "sha256",
      "sha256-",
      "sha256:",
      "sha512-AAAA",
      `md5:${good}`,
      `sha256:${good}0`,
      `sha256-${good}`,
    ]
  ) {
    await t.step(JSON.stringify(text), () => assert.equal(parseSha256(text), null));
  }
});
