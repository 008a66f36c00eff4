import assert from "node:assert/strict";
import fc from "fast-check";
import type { Json } from "./canonical.ts";
import { operatorPaths } from "./operator.ts";
import { SchemaError } from "./schema.ts";
import { cleanLine } from "./text.ts";
import { withField } from "./testing/mutants.ts";
import {
  Directive,
  EnrolAnswer,
  formatEtag,
  matchesEtag,
  parsePreferWait,
  parseProblem,
  paths,
  PublishAnswer,
} from "./wire.ts";

Deno.test("paths are the protocol's", () => {
  const at = { channel: "prod", revision: 7, system: "x86_64-linux", variant: "default" };
  assert.deepEqual([paths.enroll, paths.checkin, paths.log], ["/enroll", "/checkin", "/checkin/log"]);
  assert.equal(paths.current("prod"), "/channels/prod/current");
  assert.equal(paths.publish("prod"), "/channels/prod/publish");
  assert.equal(paths.release("prod", 7), "/channels/prod/releases/7");
  assert.equal(paths.listing(at), "/channels/prod/releases/7/closures/x86_64-linux/default");
  assert.equal(operatorPaths.accept("fridge"), "/api/v1/devices/fridge/accept");
  assert.equal(operatorPaths.reject("fridge"), "/api/v1/devices/fridge/reject");
  assert.equal(operatorPaths.device("fridge"), "/api/v1/devices/fridge");
  assert.equal(operatorPaths.progress("prod", 7), "/api/v1/releases/prod/7/progress");
});

const DIGEST = `sha256:${"ab".repeat(32)}`;
const DIRECTIVE: Json = {
  v: 1,
  nonce: "n",
  serverTime: "2026-01-31T12:00:00Z",
  pollAfterSeconds: 60,
  root: 0,
  offer: { channel: "prod", revision: 7, digest: DIGEST, stage: true, activate: false, reason: "wave 2 waits" },
  readToken: null,
};

const ANSWERS: readonly [path: string, value: Json, good: boolean][] = [
  ["v", 2, false],
  ["v", "1", false],
  ["nonce", "", false],
  ["nonce", "x".repeat(64), true],
  ["nonce", "x".repeat(65), false],
  ["nonce", "a b", false],
  ["serverTime", "x".repeat(33), false],
  ["pollAfterSeconds", 0, true],
  ["pollAfterSeconds", -1, false],
  ["pollAfterSeconds", 31 * 86_400, true],
  ["pollAfterSeconds", 31 * 86_400 + 1, false],
  ["pollAfterSeconds", 0.5, false],
  ["root", -1, false],
  ["offer", null, true],
  ["offer", [], false],
  ["offer", {}, false],
  ["offer.channel", "../x", false],
  ["offer.revision", 0, false],
  ["offer.digest", "x", false],
  ["offer.stage", 1, false],
  ["offer.activate", "true", false],
  ["offer.reason", "x".repeat(512), true],
  ["offer.reason", "x".repeat(513), false],
  ["readToken", "token", true],
  ["readToken", "x".repeat(257), false],
  ["readToken", 7, false],
];

for (const [path, value, good] of ANSWERS) {
  Deno.test(`Directive() ${good ? "accepts" : "refuses"} ${path} ${JSON.stringify(value).slice(0, 30)}`, () => {
    const answer = withField(DIRECTIVE, path, value);
    if (good) assert.deepEqual(Directive(answer, "answer"), answer);
    else assert.throws(() => Directive(answer, "answer"), new RegExp(`answer\\.${path}`));
  });
}

Deno.test("Directive() takes an answer of a newer server and leaves out what it does not know", () => {
  const { readToken: _, ...older } = DIRECTIVE as { readonly [key: string]: Json };
  assert.deepEqual(Directive({ ...older, novelty: 1, commands: [] }, "answer"), DIRECTIVE);
});

Deno.test("EnrolAnswer() and PublishAnswer() read their answers and nothing else", () => {
  const enrolled = { v: 1, status: "pending", nonce: "n", pollAfterSeconds: 5 };
  assert.deepEqual(EnrolAnswer({ ...enrolled, more: 1 }, "answer"), enrolled);
  assert.throws(() => EnrolAnswer({ ...enrolled, status: "rejected" }, "answer"), SchemaError);
  const published = { channel: "prod", revision: 7, digest: DIGEST };
  assert.deepEqual(PublishAnswer({ ...published, rollout: {} }, "answer"), published);
  assert.throws(() => PublishAnswer("<html>", "answer"), SchemaError);
});

const PROBLEMS: readonly [body: string, code: string | null, detail: string][] = [
  ['{"code":"revision_conflict","detail":"highest is 7","highest":7}', "revision_conflict", "highest is 7"],
  ['{"code":"new_code","detail":"x"}', null, "x"],
  ['{"code":"toString"}', null, "the server answered 502"],
  ['{"code":7,"detail":7}', null, "the server answered 502"],
  ['{"detail":"\\u001b[31mred\\u001b[0m\\nline\\u202e"}', null, "red line"],
  ['{"detail":"\\u0000"}', null, "the server answered 502"],
  ['{"__proto__":{"code":"internal","detail":"x"}}', null, "the server answered 502"],
  ["<html><h1>502 Bad Gateway</h1></html>", null, "the server answered 502"],
  ["", null, "the server answered 502"],
  ["null", null, "the server answered 502"],
  ["[]", null, "the server answered 502"],
  ['"internal"', null, "the server answered 502"],
  ["7", null, "the server answered 502"],
  ["[".repeat(50_000), null, "the server answered 502"],
];

for (const [body, code, detail] of PROBLEMS) {
  Deno.test(`parseProblem() of ${JSON.stringify(body).slice(0, 50)} says ${JSON.stringify(detail)}`, () => {
    const problem = parseProblem(502, body);
    assert.deepEqual([problem.status, problem.code, problem.detail], [502, code, detail]);
  });
}

Deno.test("parseProblem() never throws, and its sentence is one line of at most 1,000 characters", () => {
  const body = fc.oneof(
    fc.json(),
    fc.string({ unit: "binary" }),
    fc.record({ code: fc.anything(), detail: fc.string({ unit: "binary", maxLength: 3000 }) }).map((one) => {
      try {
        return JSON.stringify(one);
      } catch {
        return "{"; // fast-check makes bigints and cycles too.
      }
    }),
  );
  fc.assert(
    fc.property(body, (text) => {
      const { detail, code } = parseProblem(500, text);
      assert.ok(detail.length > 0 && detail.length <= 1000);
      assert.equal(cleanLine(detail, 1000), detail);
      assert.ok(code === null || /^[a-z0-9_]+$/.test(code));
    }),
    { numRuns: 1500, seed: 17 },
  );
});

const ETAG = formatEtag(DIGEST);
const MATCHES: readonly [header: string | null | undefined, matches: boolean][] = [
  [ETAG, true],
  [`W/${ETAG}`, true],
  [`"other", ${ETAG}`, true],
  [`"other" ,\tW/${ETAG} , "more"`, true],
  ["*", true],
  [" * ", true],
  [null, false],
  [undefined, false],
  ["", false],
  [",", false],
  ['""', false],
  ['"other"', false],
  [DIGEST, false],
  [`w/${ETAG}`, false],
  [`W/W/${ETAG}`, false],
  [ETAG.toUpperCase(), false],
  [`${ETAG.slice(0, -1)}x"`, false],
  ['"*"', false],
];

for (const [header, matches] of MATCHES) {
  Deno.test(`matchesEtag() of ${JSON.stringify(header)?.replace(DIGEST, "…")} is ${matches}`, () => {
    assert.equal(matchesEtag(header, ETAG), matches);
  });
}

const PREFERENCES: readonly [header: string | null | undefined, seconds: number][] = [
  ["wait=55", 55],
  ["wait=0", 0],
  ["wait=10", 10],
  ["wait=56", 55],
  ["wait=999999999", 55],
  ["WAIT=10", 10],
  ['wait="10"', 10],
  ["wait = 10", 10],
  ["respond-async, wait=10", 10],
  ["respond-async;wait=10", 10],
  ["wait=10, wait=20", 10],
  ["wait=10; foo=bar", 10],
  ["wait", 0],
  ["wait=", 0],
  ["wait=-1", 0],
  ["wait=soon", 0],
  ["await=10", 0],
  ["wait10", 0],
  ["", 0],
  [null, 0],
  [undefined, 0],
  [", ".repeat(8000), 0],
];

for (const [header, seconds] of PREFERENCES) {
  Deno.test(`parsePreferWait() of ${JSON.stringify(header)?.slice(0, 40)} is ${seconds}`, () => {
    assert.equal(parsePreferWait(header), seconds);
  });
}
