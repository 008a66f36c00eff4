import assert from "node:assert/strict";
import * as schema from "./schema.ts";
import { type Parser, SchemaError, show } from "./schema.ts";

const Word = schema.string({ pattern: /^[a-z]+$/, min: 2, max: 4, wanted: "2 to 4 letters" });
const Pair = schema.record({ first: Word, second: schema.integer(0, 9) });
const Config = schema.closed({ server: Word, poll: schema.optional(schema.integer(1), 30) });
const Answer = schema.open({ v: schema.literal(1), note: schema.optional(schema.nullable(Word), null) });

/** Parser, value, and the whole message; or null where the value is good. */
const ROWS: readonly [what: string, parser: Parser<unknown>, value: unknown, problem: string | null][] = [
  ["the shortest word", Word, "ab", null],
  ["the longest word", Word, "abcd", null],
  ["a word too short", Word, "a", 'x must be 2 to 4 letters, found "a"'],
  ["a word too long", Word, "abcde", 'x must be 2 to 4 letters, found "abcde"'],
  ["a word with a line end", Word, "ab\n", 'x must be 2 to 4 letters, found "ab\\n"'],
  ["a number as a word", Word, 7, "x must be 2 to 4 letters, found 7"],
  ["a list as a word", Word, ["ab"], "x must be 2 to 4 letters, found a list"],
  ["an object as a word", Word, {}, "x must be 2 to 4 letters, found an object"],
  ["null as a word", Word, null, "x must be 2 to 4 letters, found null"],
  ["half a pair", schema.string({ max: 4, wanted: "text" }), "\ud800", 'x must be text, found "\\ud800"'],
  ["an integer at its lower bound", schema.integer(1, 9), 1, null],
  ["an integer at its upper bound", schema.integer(1, 9), 9, null],
  ["an integer below", schema.integer(1, 9), 0, "x must be an integer from 1 to 9, found 0"],
  ["an integer above", schema.integer(1, 9), 10, "x must be an integer from 1 to 9, found 10"],
  ["a fraction", schema.integer(1, 9), 1.5, "x must be an integer from 1 to 9, found 1.5"],
  ["a number as text", schema.integer(1, 9), "1", 'x must be an integer from 1 to 9, found "1"'],
  ["no number", schema.integer(1, 9), NaN, "x must be an integer from 1 to 9, found NaN"],
  ["endless", schema.integer(1), Infinity, "x must be an integer from 1 to 9007199254740991, found Infinity"],
  ["2^53", schema.integer(1), 2 ** 53, "x must be an integer from 1 to 9007199254740991, found 9007199254740992"],
  ["true", schema.boolean, true, null],
  ["1 as true", schema.boolean, 1, "x must be true or false, found 1"],
  ["text as true", schema.boolean, "true", 'x must be true or false, found "true"'],
  ["a literal", schema.literal("a"), "a", null],
  ["another literal", schema.literal("a"), "b", 'x must be "a", found "b"'],
  ["a literal of another type", schema.literal(1), "1", 'x must be 1, found "1"'],
  ["one of a list", schema.oneOf(["a", "b"]), "b", null],
  ["none of a list", schema.oneOf(["a", "b"]), "c", 'x must be one of a, b, found "c"'],
  ["a name that objects inherit", schema.oneOf(["a", "b"]), "toString", 'x must be one of a, b, found "toString"'],
  ["null where it may be", schema.nullable(Word), null, null],
  ["absence where null may be", schema.nullable(Word), undefined, "x must be 2 to 4 letters, found nothing"],
  ["absence where it may be", schema.optional(Word, "ab"), undefined, null],
  ["null where absence may be", schema.optional(Word, "ab"), null, "x must be 2 to 4 letters, found null"],
  ["a list", schema.array(Word, { min: 1, max: 2 }), ["ab"], null],
  ["a list too short", schema.array(Word, { min: 1, max: 2 }), [], "x must have 1 to 2 items, found 0"],
  ["a list too long", schema.array(Word, { max: 1 }), ["ab", "ab"], "x must have 0 to 1 items, found 2"],
  ["no list", schema.array(Word, { max: 1 }), { length: 1, 0: "ab" }, "x must be a list, found an object"],
  ["a bad item", schema.array(Word, { max: 2 }), ["ab", 7], "x[1] must be 2 to 4 letters, found 7"],
  ["a pair", Pair, { first: "ab", second: 1 }, null],
  ["a pair without its second", Pair, { first: "ab" }, 'x lacks the key "second"'],
  ["a pair with a third", Pair, { first: "ab", second: 1, third: 2 }, 'x has the unknown key "third"'],
  ["a pair the other way round", Pair, { second: 1, first: "ab" }, 'x must have "first" as its key number 1'],
  ["a pair with a bad second", Pair, { first: "ab", second: 10 }, "x.second must be an integer from 0 to 9, found 10"],
  ["a pair by inheritance", Pair, Object.create({ first: "ab", second: 1 }), 'x lacks the key "first"'],
  ["a pair of __proto__", Pair, JSON.parse('{"__proto__":1}'), 'x has the unknown key "__proto__"'],
  ["a list as a pair", Pair, [], "x must be an object, found a list"],
  ["null as a pair", Pair, null, "x must be an object, found null"],
  ["text as a pair", Pair, "{}", 'x must be an object, found "{}"'],
  ["a configuration in another order", Config, { poll: 5, server: "ab" }, null],
  [
    "a configuration with an unknown key",
    Config,
    { server: "ab", pol: 1 },
    'x has the unknown key "pol" (known: server, poll)',
  ],
  ["a configuration without a key", Config, {}, "x.server must be 2 to 4 letters, found nothing"],
  [
    "a configuration of inherited names",
    Config,
    { server: "ab", toString: 1 },
    'x has the unknown key "toString" (known: server, poll)',
  ],
  ["an answer with more keys", Answer, { v: 1, newer: true }, null],
  ["an answer of another version", Answer, { v: 2 }, "x.v must be 1, found 2"],
  ["an answer that is a list", Answer, [], "x must be an object, found a list"],
];

for (const [what, parser, value, problem] of ROWS) {
  Deno.test(`parsers ${problem === null ? "accept" : "refuse"} ${what}`, () => {
    if (problem === null) parser(value, "x");
    else assert.throws(() => parser(value, "x"), (error) => error instanceof SchemaError && error.message === problem);
  });
}

Deno.test("record() returns the wanted keys only, none of them inherited", () => {
  const pair = Pair({ first: "ab", second: 1 }, "x");
  assert.deepEqual(pair, { first: "ab", second: 1 });
  assert.deepEqual(Answer(JSON.parse('{"v":1,"__proto__":{"note":"ab"}}'), "x"), { v: 1, note: null });
});

Deno.test("optional() fills in what is absent", () => {
  assert.deepEqual(Config({ server: "ab" }, "x"), { server: "ab", poll: 30 });
});

Deno.test("closed() says that it read the configuration where it has no name for the place", () => {
  assert.throws(() => Config({ x: 1 }, ""), {
    message: 'the configuration has the unknown key "x" (known: server, poll)',
  });
  assert.throws(() => Config({ server: 1 }, ""), { message: "server must be 2 to 4 letters, found 1" });
});

Deno.test("SchemaError tells the place apart from the problem", () => {
  assert.throws(() => schema.array(Pair, { max: 9 })([{ first: 1, second: 2 }], "list"), { at: "list[0].first" });
});

const SHOWN: readonly [value: unknown, expected: string][] = [
  ["text", '"text"'],
  ["a\nb\u202e\u009b", '"a\\nb\\u202e\\u009b"'],
  ["x".repeat(100), `"${"x".repeat(59)}…`],
  [`${"x".repeat(58)}🦕🦕`, `"${"x".repeat(58)}\ufffd…`],
  ["x".repeat(58), `"${"x".repeat(58)}"`],
  [[1, 2], "a list"],
  [{ secret: 1 }, "an object"],
  [null, "null"],
  [undefined, "nothing"],
  [12n, "12"],
  [-0, "0"],
  [Symbol("s"), "Symbol(s)"],
];

for (const [value, expected] of SHOWN) {
  Deno.test(`show() prints ${expected.slice(0, 20)}`, () => assert.equal(show(value), expected));
}
