import assert from "node:assert/strict";
import { redact } from "@nix-ota/common";
import { createReadTokens, findToken, hashToken, makeToken, parseTokenFile } from "./tokens.ts";

Deno.test("makeToken() makes tokens that the log filter takes out and a token file takes in", () => {
  const token = makeToken("p");
  assert.match(token, /^nota_p_[0-9A-Za-z]{12}_[0-9A-Za-z]{43}_[0-9A-Za-z]{6}$/);
  assert.notEqual(makeToken("p"), token);
  assert.equal(redact(`sent ${token} there`), "sent [redacted] there");
  const [kept] = parseTokenFile(`${token}\n`, "the file");
  assert.ok(kept !== undefined && findToken(token, [kept]) === kept);
  assert.equal(kept.id, token.slice(7, 19));
});

Deno.test("parseTokenFile() takes one token a line, blank lines and comments apart", () => {
  const text = "# made by hand\r\n\r\n  first-token-of-the-file  \nsecond-token-of-the-file";
  const tokens = parseTokenFile(text, "the file");
  assert.equal(tokens.length, 2);
  assert.ok(findToken("second-token-of-the-file", tokens));
  assert.equal(findToken("", tokens), null);
  assert.equal(findToken("second-token-of-the-file ", tokens), null);
});

Deno.test("parseTokenFile() says what is wrong without quoting the token", async (t) => {
  const good = makeToken("p");
  const flipped = good.slice(0, -1) + (good.endsWith("0") ? "1" : "0");
  const cases: [string, string, RegExp][] = [
    ["empty", "", /the file as it holds no token/],
    ["only comments", "# nothing\n", /holds no token/],
    ["too short", "0123456789012345678", /line 1: wanted a token of 20 to 256/],
    ["too long", "a".repeat(257), /line 1: wanted a token of 20 to 256/],
    ["with a blank in it", "0123456789 0123456789", /line 1: wanted/],
    ["not ASCII", "0123456789012345678é", /line 1: wanted/],
    ["mistyped", `# a\n${flipped}`, /line 2: the token's checksum does not fit/],
    ["cut", good.slice(0, -3), /checksum does not fit/],
    ["too many", "0123456789012345678901\n".repeat(10_001), /more than 10000 tokens/],
  ];
  for (const [name, text, expected] of cases) {
    await t.step(name, () => {
      assert.throws(() => parseTokenFile(text, "the file"), (error: Error) => {
        assert.match(error.message, expected);
        assert.ok(!error.message.includes("0123456789") && !error.message.includes("nota_p"));
        return true;
      });
    });
  }
});

Deno.test("createReadTokens() makes tokens for one device, a day and one secret", () => {
  const HOUR_MS = 3_600_000;
  const tokens = createReadTokens(new Uint8Array(32).fill(1));
  const token = tokens.make("fridge-007", 0);
  assert.equal(tokens.check(token, 0), "fridge-007");
  assert.equal(tokens.check(token, 25 * HOUR_MS), "fridge-007");
  assert.equal(tokens.check(token, 26 * HOUR_MS), null);
  assert.equal(createReadTokens(new Uint8Array(32)).check(token, 0), null);
  assert.equal(redact(token), "[redacted]");
  assert.ok(tokens.make("a".repeat(63), Number.MAX_SAFE_INTEGER - 30 * HOUR_MS).length <= 256);
  for (const wrong of ["", "nota_r_", token.slice(0, -1), `${token}0`, token.replace(/_(\d+)_/, "_9999999999999_")]) {
    assert.equal(tokens.check(wrong, 0), null, wrong);
  }
});

Deno.test("hashToken() shows no more of a foreign token than a hash", () => {
  assert.match(hashToken("some-secret-token-here").id, /^[0-9a-f]{12}$/);
});
