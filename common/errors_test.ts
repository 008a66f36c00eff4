import assert from "node:assert/strict";
import { ERROR_CODES, isErrorCode, messageOf, OtaError, unreachable } from "./errors.ts";

Deno.test("ERROR_CODES have a status of HTTP's errors, and titles that tell them apart", () => {
  const titles = new Set<string>();
  for (const [code, { status, title }] of Object.entries(ERROR_CODES)) {
    assert.match(code, /^[a-z][a-z0-9_]*$/);
    assert.ok(status >= 400 && status <= 599, code);
    assert.match(title, /^[A-Z].*[^.]$/);
    titles.add(title);
  }
  assert.equal(titles.size, Object.keys(ERROR_CODES).length);
});

Deno.test("ERROR_CODES have the status that HTTP gives to the same fault", () => {
  const { envelope_too_large, unauthorized, forbidden, not_found, method_not_allowed, request_timeout } = ERROR_CODES;
  assert.deepEqual(
    [envelope_too_large, unauthorized, forbidden, not_found, method_not_allowed, request_timeout].map(({ status }) =>
      status
    ),
    [413, 401, 403, 404, 405, 408],
  );
  const { body_too_large, unsupported_media_type, rate_limited, headers_too_large, overloaded, internal } = ERROR_CODES;
  assert.deepEqual(
    [body_too_large, unsupported_media_type, rate_limited, headers_too_large, overloaded, internal].map(({ status }) =>
      status
    ),
    [413, 415, 429, 431, 503, 500],
  );
});

Deno.test("ERROR_CODES of protocol 2.2 after the size are all 422", () => {
  const codes = Object.entries(ERROR_CODES);
  const steps = codes.slice(1, codes.findIndex(([code]) => code === "release_expired") + 1);
  assert.equal(steps.length, 15);
  for (const [code, { status }] of steps) assert.equal(status, 422, code);
});

Deno.test("isErrorCode() knows the codes of the list and nothing that objects inherit", () => {
  assert.equal(isErrorCode("equivocation"), true);
  for (const other of ["", "Equivocation", "toString", "__proto__", "constructor", null, undefined, 7, {}]) {
    assert.equal(isErrorCode(other), false);
  }
});

Deno.test("OtaError carries code, cause and further members", () => {
  const cause = new Error("inner");
  const error = new OtaError("revision_conflict", "Cannot publish", { cause, extra: { highest: 7 } });
  assert.equal(error.name, "OtaError");
  assert.equal(error.code, "revision_conflict");
  assert.equal(error.cause, cause);
  assert.deepEqual(error.extra, { highest: 7 });
  assert.deepEqual(new OtaError("internal", "x").extra, {});
  assert.equal(Object.hasOwn(new OtaError("internal", "x"), "cause"), false);
});

const MESSAGES: readonly [thrown: unknown, expected: string][] = [
  [new Error("one"), "one"],
  [new Error("one\n  two\r\n\n\tthree\n"), "one; two; three"],
  [new Error("a  b"), "a  b"],
  [new Error(""), ""],
  ["text", "text"],
  [7, "7"],
  [null, "null"],
  [undefined, "undefined"],
];

for (const [thrown, expected] of MESSAGES) {
  Deno.test(`messageOf() of ${JSON.stringify(String(thrown))} is ${JSON.stringify(expected)}`, () => {
    assert.equal(messageOf(thrown), expected);
  });
}

Deno.test("messageOf() takes time that grows with the length of the message, no faster", () => {
  const started = performance.now();
  messageOf(new Error(" ".repeat(200_000)));
  assert.ok(performance.now() - started < 2000); // 1 ms; a pattern of blanks, line end, blanks took a minute.
});

Deno.test("unreachable() names the value that the types said could not be", () => {
  const value = "late" as never; // From outside the types, such as a newer database.
  assert.throws(() => unreachable(value), { name: "TypeError", message: 'Unexpected value "late"' });
});
