import assert from "node:assert/strict";
import fc from "fast-check";
import { type Bytes, decodeUtf8, encodeUtf8, formatCanonicalJson, type Json, parseCanonicalJson } from "./canonical.ts";
import { type ErrorCode, OtaError } from "./errors.ts";
import { fromHex } from "./testing/random.ts";

const ACCEPTED: readonly [text: string, value: Json][] = [
  ['{"a":1}', { a: 1 }],
  ["{}", {}],
  ["[]", []],
  ['""', ""],
  ["null", null],
  ["true", true],
  ["false", false],
  ["0", 0],
  ["-1", -1],
  ["9007199254740991", 2 ** 53 - 1],
  ["-9007199254740991", -(2 ** 53) + 1],
  ['[1,[2,{"b":[]}],null]', [1, [2, { b: [] }], null]],
  ['{"b":1,"a":2}', { b: 1, a: 2 }],
  ['{"1":0,"2":0,"a":0}', { 1: 0, 2: 0, a: 0 }],
  ['{"":0}', { "": 0 }],
  ['"\\"\\\\\\b\\f\\n\\r\\t"', '"\\\b\f\n\r\t'],
  ['"\\u0000\\u001f"', "\0\x1f"],
  ['"\x7f"', "\x7f"],
  ['"/"', "/"],
  ['"Zürich 東京 🦕"', "Zürich 東京 🦕"],
  ['"\u2028\u2029\ufeff"', "\u2028\u2029\ufeff"],
  ["[[[[[[[[]]]]]]]]", [[[[[[[[]]]]]]]]],
];

for (const [text, value] of ACCEPTED) {
  Deno.test(`parseCanonicalJson() reads ${JSON.stringify(text)}`, () => {
    assert.deepEqual(parseCanonicalJson(encodeUtf8(text)), value);
    assert.equal(formatCanonicalJson(value), text);
  });
}

const NOT_CANONICAL: readonly [what: string, text: string][] = [
  ["nothing", ""],
  ["a blank", " "],
  ["no JSON", "hello"],
  ["two values", "1 2"],
  ["two values without a blank", "{}{}"],
  ["a duplicate key", '{"a":1,"a":2}'],
  ["a duplicate key with the same value", '{"a":1,"a":1}'],
  ["a duplicate key that is escaped once", '{"a":1,"\\u0061":1}'],
  ["a duplicate key inside", '{"x":[{"a":1,"a":1}]}'],
  ["a duplicate __proto__", '{"__proto__":1,"__proto__":2}'],
  ["a blank before", " {}"],
  ["a blank after", "{} "],
  ["a blank after a colon", '{"a": 1}'],
  ["a blank after a comma", "[1, 2]"],
  ["a blank in a list", "[ ]"],
  ["a line end after", "{}\n"],
  ["a line end of Windows after", "{}\r\n"],
  ["a tab", "\t{}"],
  ["a blank of Unicode", "\u00a0{}"],
  ["a byte-order mark", "\ufeff{}"],
  ["a NUL after", "{}\0"],
  ["a comment", "/* */{}"],
  ["a comma at the end", "[1,]"],
  ["a key without quotes", "{a:1}"],
  ["apostrophes", "{'a':1}"],
  ["a fraction", "1.5"],
  ["a fraction of nothing", "1.0"],
  ["an exponent", "1e3"],
  ["a capital exponent", "1E3"],
  ["an exponent that shrinks", "10e-1"],
  ["a plus", "+1"],
  ["a zero before", "01"],
  ["minus zero", "-0"],
  ["minus zero with a fraction", "-0.0"],
  ["a dot first", ".5"],
  ["a dot last", "5."],
  ["hexadecimal", "0x10"],
  ["2^53", "9007199254740992"],
  ["-2^53", "-9007199254740992"],
  ["2^53 + 1", "9007199254740993"],
  ["a number of 400 digits", "1".repeat(400)],
  ["an exponent without end", "1e999"],
  ["NaN", "NaN"],
  ["Infinity", "Infinity"],
  ["undefined", "undefined"],
  ["True", "True"],
  ["an escaped letter", '"\\u0041"'],
  ["an escaped slash", '"\\/"'],
  ["an escaped letter outside ASCII", '"\\u00fc"'],
  ["an escaped pair", '"\\ud83e\\udd95"'],
  ["an escape in capitals", '"\\u001F"'],
  ["a short escape written long", '"\\u000a"'],
  ["an escaped DEL", '"\\u007f"'],
  ["a lone surrogate, escaped", '"\\ud800"'],
  ["a lone low surrogate, escaped", '"\\udc00"'],
  ["a pair the wrong way round", '"\\udc00\\ud800"'],
  ["a lone surrogate in a key", '{"\\ud800":1}'],
  ["a lone surrogate deep inside", '{"a":[{"b":"\\udfff"}]}'],
  ["a raw control character", '"\x01"'],
  ["a raw line end in a string", '"\n"'],
  ["a raw NUL in a string", '"\0"'],
  ["an unknown escape", '"\\x41"'],
  ["an unfinished string", '"abc'],
  ["an unfinished escape", '"\\u00'],
  ["an unfinished object", '{"a":1'],
  ["integer-like keys out of order", '{"2":0,"1":0}'],
  ["an integer-like key after another", '{"a":0,"1":0}'],
  ["a depth of 9", "[[[[[[[[[]]]]]]]]]"],
  ["a depth of 9 in objects", '{"a":'.repeat(9) + "1" + "}".repeat(9)],
  ["a depth of 200,000", "[".repeat(200_000) + "]".repeat(200_000)],
  ["a depth of 100,000 in objects", '{"a":'.repeat(100_000) + "1" + "}".repeat(100_000)],
  ["200,000 brackets that never close", "[".repeat(200_000)],
];

function refusedWith(code: ErrorCode): (error: unknown) => boolean {
  return (error) => error instanceof OtaError && error.code === code && error.message.length < 300;
}

for (const [what, text] of NOT_CANONICAL) {
  Deno.test(`parseCanonicalJson() refuses ${what}`, () => {
    assert.throws(() => parseCanonicalJson(encodeUtf8(text)), refusedWith("json_not_canonical"));
  });
}

const NOT_UTF8: readonly [what: string, hex: string][] = [
  ["a lone continuation byte", "22 80 22"],
  ["an unfinished character", "22 c3 22"],
  ["an unfinished character at the end", "22 e2 82"],
  ["an overlong slash", "22 c0 af 22"],
  ["an overlong slash of three bytes", "22 e0 80 af 22"],
  ["an overlong NUL", "22 c0 80 22"],
  ["a surrogate (CESU-8)", "22 ed a0 80 22"],
  ["a pair of surrogates (CESU-8)", "22 ed a0 be ed b6 95 22"],
  ["a character above U+10FFFF", "22 f4 90 80 80 22"],
  ["five bytes", "22 f8 88 80 80 80 22"],
  ["Latin-1", "22 fc 22"],
  ["UTF-16", "ff fe 7b 00 7d 00"],
  ["UTF-16, big end first", "fe ff 00 7b 00 7d"],
];

for (const [what, hex] of NOT_UTF8) {
  Deno.test(`parseCanonicalJson() refuses bytes that are no UTF-8: ${what}`, () => {
    assert.throws(() => parseCanonicalJson(fromHex(hex)), refusedWith("encoding_invalid"));
    assert.throws(() => decodeUtf8(fromHex(hex)), refusedWith("encoding_invalid"));
  });
}

Deno.test("parseCanonicalJson() says whether it met no JSON, another form, a number, a surrogate or a depth", () => {
  const rows: readonly [text: string, why: RegExp][] = [
    ["hello", /is not JSON$/],
    ["{ }", /is not canonical: wanted no blanks/],
    ["1.5", /not a safe integer$/],
    ['"\\ud800"', /a lone surrogate$/],
    ["[[[[[[[[[]]]]]]]]]", /nests deeper than 8 levels$/],
  ];
  for (const [text, why] of rows) assert.throws(() => parseCanonicalJson(encodeUtf8(text)), { message: why });
});

Deno.test("parseCanonicalJson() refuses UTF-16 and UTF-32 without a mark", () => {
  for (const hex of ["7b 00 7d 00", "00 7b 00 7d", "7b 00 00 00 7d 00 00 00"]) {
    assert.throws(() => parseCanonicalJson(fromHex(hex)), refusedWith("json_not_canonical"));
  }
});

Deno.test("parseCanonicalJson() makes __proto__ an ordinary key", () => {
  const value = parseCanonicalJson(encodeUtf8('{"__proto__":{"polluted":1},"constructor":2}')) as Record<string, Json>;
  assert.deepEqual(Object.keys(value), ["__proto__", "constructor"]);
  assert.equal(Object.getPrototypeOf(value), Object.prototype);
  assert.equal(({} as Record<string, unknown>)["polluted"], undefined);
});

Deno.test("decodeUtf8() keeps a byte-order mark, which JSON then refuses", () => {
  assert.equal(decodeUtf8(fromHex("ef bb bf 7b 7d")), "\ufeff{}");
});

/** Any value that a signed document could hold, at most {@link JSON_DEPTH_MAX} levels deep. */
const AnyJson = fc.letrec<{ value: Json }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 7, withCrossShrink: true },
    fc.constantFrom(null, true, false, 0, Number.MAX_SAFE_INTEGER, "", "__proto__"),
    fc.maxSafeInteger().map((number) => number === 0 ? 0 : number),
    fc.string({ unit: "grapheme" }),
    fc.string({ unit: "binary" }).map((text) => text.toWellFormed()),
    fc.array(tie("value"), { maxLength: 4 }),
    fc.dictionary(fc.string(), tie("value"), { maxKeys: 4, noNullPrototype: true }),
  ),
})).value;

Deno.test("parseCanonicalJson() reads back whatever formatCanonicalJson() prints", () => {
  fc.assert(
    fc.property(AnyJson, (value) => {
      const text = formatCanonicalJson(value);
      assert.deepEqual(parseCanonicalJson(encodeUtf8(text)), value);
      assert.equal(formatCanonicalJson(parseCanonicalJson(encodeUtf8(text))), text);
    }),
    { numRuns: 2000, seed: 10 },
  );
});

Deno.test("parseCanonicalJson() gives one value one text: what it reads, it prints back byte for byte", () => {
  const piece = fc.constantFrom(
    ...'{ } [ ] , : " \\ / 0 1 -1 -0 1.0 1e3 01 null true a "a" "b" "1" "2" "__proto__" \\u0041 \\n \\ud800'.split(" "),
    ...'{"a":1} {"a":1,"a":1} [1,2] "" 9007199254740991 9007199254740992'.split(" "),
    " ",
    "\n",
    "\ufeff",
    "ü",
  );
  let accepted = 0;
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 8 }).map((parts) => parts.join("")), (text) => {
      const bytes: Bytes = encodeUtf8(text);
      try {
        assert.equal(formatCanonicalJson(parseCanonicalJson(bytes)), text);
        accepted += 1;
      } catch (error) {
        if (!(error instanceof OtaError)) throw error;
      }
    }),
    { numRuns: 20_000, seed: 11 },
  );
  assert.ok(accepted > 200, `${accepted}`);
});
