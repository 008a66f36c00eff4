import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import { concatBytes, digestOf, equalBytes, formatBase64, formatHex, parseBase64, sha256 } from "./base64.ts";
import { type Bytes, encodeUtf8 } from "./canonical.ts";

/** RFC 4648 section 10. */
const RFC_4648: readonly [text: string, base64: string][] = [
  ["", ""],
  ["f", "Zg=="],
  ["fo", "Zm8="],
  ["foo", "Zm9v"],
  ["foob", "Zm9vYg=="],
  ["fooba", "Zm9vYmE="],
  ["foobar", "Zm9vYmFy"],
];

for (const [text, base64] of RFC_4648) {
  Deno.test(`base64 of ${JSON.stringify(text)} is RFC 4648's`, () => {
    assert.equal(formatBase64(encodeUtf8(text)), base64);
    assert.deepEqual(parseBase64(base64), encodeUtf8(text));
  });
}

const REFUSED: readonly [what: string, text: string][] = [
  ["missing padding", "Zg"],
  ["half the padding", "Zg="],
  ["too much padding", "Zg==="],
  ["padding of nothing", "===="],
  ["padding where none belongs", "Zm9v="],
  ["padding inside", "Zg==Zg=="],
  ["loose bits of one byte", "Zh=="],
  ["loose bits of two bytes", "Zm9="],
  ["a length of 1", "Z"],
  ["a length of 5", "Zm9vY"],
  ["a blank before", " Zm9v"],
  ["a blank inside", "Zm 9v"],
  ["a line end", "Zm9v\n"],
  ["a tab", "Zm9v\t"],
  ["lines of MIME", "Zm9v\r\nYmFy"],
  ["the URL-safe minus", "-_8="],
  ["the URL-safe underline", "_-8="],
  ["a NUL", "Zm9\0"],
  ["a letter outside ASCII", "Zm9\u00f6"],
  ["a wide letter", "\uff3am9v"],
  ["half a pair", "Zm9\ud800"],
  ["a percent sign", "Zg%3D%3D"],
  ["a data URL", "data:;base64,Zm9v"],
];

for (const [what, text] of REFUSED) {
  Deno.test(`parseBase64() refuses ${what}`, () => assert.equal(parseBase64(text), null));
}

Deno.test("parseBase64() reads what formatBase64() prints, which is what others print", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (array) => {
      const bytes: Bytes = new Uint8Array(array);
      const text = formatBase64(bytes);
      assert.equal(text, Buffer.from(bytes).toString("base64"));
      assert.deepEqual(parseBase64(text), bytes);
      assert.equal(formatHex(bytes), Buffer.from(bytes).toString("hex"));
    }),
    { numRuns: 1000, seed: 8 },
  );
});

Deno.test("parseBase64() has one spelling for each byte string", () => {
  const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_= \n".split("");
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...letters), { maxLength: 8 }).map((parts) => parts.join("")), (text) => {
      const bytes = parseBase64(text);
      if (bytes !== null) assert.equal(formatBase64(bytes), text);
    }),
    { numRuns: 20_000, seed: 9 },
  );
});

Deno.test("formatBase64() prints megabytes", () => {
  const bytes = new Uint8Array(3_000_001).fill(0xfb);
  assert.equal(formatBase64(bytes), Buffer.from(bytes).toString("base64"));
});

Deno.test("concatBytes() and equalBytes() treat bytes as values", () => {
  const joined = concatBytes(Uint8Array.of(1), new Uint8Array(), Uint8Array.of(2, 3));
  assert.deepEqual(joined, Uint8Array.of(1, 2, 3));
  assert.deepEqual(concatBytes(), new Uint8Array());
  assert.equal(equalBytes(joined, Uint8Array.of(1, 2, 3)), true);
  assert.equal(equalBytes(joined, Uint8Array.of(1, 2)), false);
  assert.equal(equalBytes(joined, Uint8Array.of(1, 2, 4)), false);
  assert.equal(equalBytes(new Uint8Array(), new Uint8Array()), true);
});

Deno.test("digestOf() is SHA-256 as FIPS 180-4 has it", async () => {
  const abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  assert.equal(formatHex(await sha256(encodeUtf8("abc"))), abc);
  assert.equal(await digestOf(encodeUtf8("abc")), `sha256:${abc}`);
});
