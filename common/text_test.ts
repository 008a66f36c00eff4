import assert from "node:assert/strict";
import fc from "fast-check";
import { cleanLine, cleanText, quoteText, redact, tailOf } from "./text.ts";

/** What no cleaned text may hold: C0 except tab and line feed, DEL, C1, and the marks of direction. */
const CONTROL =
  // deno-lint-ignore no-control-regex -- These are the very characters to look for.
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/;

const CLEANED: readonly [what: string, text: string, expected: string][] = [
  ["plain text", "Zürich 東京 🦕", "Zürich 東京 🦕"],
  ["tabs and line feeds", "a\tb\nc", "a\tb\nc"],
  ["colours", "\x1b[1;31mred\x1b[0m", "red"],
  ["colours with colons", "\x1b[38:2::1:2:3mx\x1b[m", "x"],
  ["what tput sgr0 writes", "a\x1b(B\x1b[mb", "ab"],
  ["a window title", "\x1b]0;root@fridge\x07ok", "ok"],
  ["a link", "\x1b]8;;https://evil.example\x1b\\text\x1b]8;;\x1b\\", "text"],
  ["a device control string", "\x1bP1;2|73656372\x1b\\after", "after"],
  ["a title that never ends", "\x1b]0;title\nerror: the disk is full", "0;title\nerror: the disk is full"],
  ["a cursor that goes home", "\x1b[2J\x1b[Hgone", "gone"],
  ["a reset", "\x1bcx", "x"],
  ["8-bit sequences", "\u009b31mx\u009d0;t\u009c", "31mx0;t"],
  ["an escape inside an escape", "\x1b\x1b[m[31mx", "[31mx"],
  ["an escape at the end", "x\x1b", "x"],
  ["a beginning at the end", "x\x1b[", "x"],
  ["NUL and BEL", "a\0b\x07c", "abc"],
  ["backspaces that overwrite", "good\b\b\b\bevil", "goodevil"],
  ["line ends of Windows", "a\r\nb", "a\nb"],
  ["a progress bar", "10%\r20%\rdone", "10%\n20%\ndone"],
  ["line ends of Unicode", "a\u2028b\u2029c\u0085d", "a\nb\nc\nd"],
  ["directions", "\u202eexe.txt\u202c \u2066x\u2069 \u200fy\u200e \u061cz", "exe.txt x y z"],
  ["a byte-order mark", "\ufeffx", "x"],
  ["half a surrogate pair", "\ud83ex\udd95", "\ufffdx\ufffd"],
];

for (const [what, text, expected] of CLEANED) {
  Deno.test(`cleanText() makes ${what} safe`, () => assert.equal(cleanText(text), expected));
}

/** Pieces of naughty text, put together by chance. */
const Naughty = fc.array(
  fc.oneof(
    fc.constantFrom("\x1b", "[", "]", "0m", ";", "\x07", "\\", "P", "\r", "\n", "\u009b", "\u202e", "\ud800", "\0"),
    fc.string({ unit: "binary" }),
    fc.constantFrom(
      "<script>alert(1)</script>",
      "$(reboot)",
      "`id`",
      "'; DROP TABLE device;--",
      "%s%n",
      "../../etc",
      "NULL",
    ),
  ),
).map((parts) => parts.join(""));

Deno.test("cleanText() leaves no control character in any text, and cleaning again changes nothing", () => {
  fc.assert(
    fc.property(Naughty, (text) => {
      const clean = cleanText(text);
      assert.doesNotMatch(clean, CONTROL);
      assert.ok(clean.isWellFormed());
      assert.equal(cleanText(clean), clean);
    }),
    { numRuns: 3000, seed: 1 },
  );
});

Deno.test("cleanLine() gives one line within its limit for any text", () => {
  fc.assert(
    fc.property(Naughty, fc.integer({ min: 1, max: 40 }), (text, max) => {
      const line = cleanLine(text, max);
      assert.ok(line.length <= max && line.isWellFormed());
      assert.doesNotMatch(line, /[\n\r\t]/);
      assert.doesNotMatch(line, CONTROL);
    }),
    { numRuns: 2000, seed: 2 },
  );
});

Deno.test("cleanLine() cuts with an ellipsis and never through a character", () => {
  assert.equal(cleanLine("  one\n\ntwo\t three ", 100), "one two three");
  assert.equal(cleanLine("abcdef", 6), "abcdef");
  assert.equal(cleanLine("abcdefg", 6), "abcde…");
  assert.equal(cleanLine("abcd🦕g", 6), "abcd\ufffd…");
});

Deno.test("quoteText() prints JSON that any terminal can show and that reads back as the same text", () => {
  assert.equal(quoteText('a"b\n\u202e\u009b31m'), '"a\\"b\\n\\u202e\\u009b31m"');
  fc.assert(
    fc.property(Naughty, (text) => {
      assert.doesNotMatch(quoteText(text), CONTROL);
      assert.equal(JSON.parse(quoteText(text)), text);
    }),
    { numRuns: 1000, seed: 3 },
  );
});

/** 32 zero bytes twice: the form of a secret key of Nix, and of nobody. */
const NIX_SECRET = `${"A".repeat(86)}==`;
const PEM = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIAAA\n-----END PRIVATE KEY-----";

const REDACTED: readonly [what: string, text: string, secret: string, expected?: string][] = [
  ["a token of ours", "got nota_pub_abcdefgh12345678 from CI", "abcdefgh", "got [redacted] from CI"],
  ["a bearer header", "Authorization: Bearer abcdefgh.ijkl-mnop", "abcdefgh", "Authorization: Bearer [redacted]"],
  ["a basic header", "authorization: basic dXNlcjpwYXNzd29yZA==", "dXNlc", "authorization: basic [redacted]"],
  ["a user in a URL", "GET https://user:hunter2@cache.example.org/x", "hunter2"],
  ["a password after a sign", "password=hunter2 next", "hunter2", "password=[redacted] next"],
  ["a password after a blank", "the password hunter2", "hunter2", "the password [redacted]"],
  ["a password in an environment", "DB_PASSWORD=hunter2", "hunter2"],
  ["a key in an environment", "AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI", "wJalr"],
  ["a token in JSON", '{"token":"abc def","x":1}', "abc", '{"token":[redacted],"x":1}'],
  ["a password in YAML", "password: 'hunter 2'", "hunter"],
  ["a passphrase", "passphrase = correct-horse", "horse"],
  ["a token in a query", "/x?access_token=abcdef", "abcdef"],
  ["an API key", "api-key: abcdef", "abcdef"],
  ["a secret key of Nix", `cache.example.org-1:${NIX_SECRET}`, NIX_SECRET, "cache.example.org-1:[redacted]"],
  ["a private key", `before\n${PEM}\nafter`, "MC4C", "before\n[redacted]\nafter"],
  ["a private key that is cut", PEM.slice(0, 45), "MC4C"],
  ["an OpenSSH private key", PEM.replaceAll("PRIVATE", "OPENSSH PRIVATE"), "MC4C"],
  ["two private keys", `${PEM} and ${PEM}`, "MC4C", "[redacted] and [redacted]"],
];

for (const [what, text, secret, expected] of REDACTED) {
  Deno.test(`redact() hides ${what}`, () => {
    assert.ok(text.includes(secret));
    const out = redact(text);
    assert.ok(!out.includes(secret), out);
    assert.ok(out.includes("[redacted]"));
    if (expected !== undefined) assert.equal(out, expected);
  });
}

Deno.test("redact() leaves ordinary lines alone", () => {
  for (
    const line of [
      "error: path '/nix/store/00000000000000000000000000000000-x' is not in the binary cache",
      "GET https://cache.example.org/nar/abc.nar.xz 404",
      "warning: 3 of 4 units failed: sshd.service, getty@tty1.service",
      "the basic settings are fine",
    ]
  ) assert.equal(redact(line), line);
});

Deno.test("redact() and cleanText() take time that grows with the length of the text, no faster", () => {
  const pieces = [" ", "=", "a", "password", "token ", "://", "bearer ", "-----BEGIN ", "\x1b]", "\x1b[0", "secret\t"];
  const started = performance.now();
  for (const piece of pieces) {
    const text = piece.repeat(Math.ceil(65_536 / piece.length));
    redact(text);
    redact(`password${text}`);
    cleanLine(text, 100);
  }
  const tookMs = performance.now() - started;
  // Some 100 ms; patterns that look back took 5 to 18 s for one text of blanks.
  assert.ok(tookMs < 3000, `${tookMs} ms`);
});

const TAILS: readonly [what: string, text: string, maxBytes: number, expected: string][] = [
  ["all of a text that fits", "one\ntwo\n", 8, "one\ntwo\n"],
  ["whole lines", "one\ntwo\nthree\n", 10, "two\nthree\n"],
  ["the line at which the cut falls", "one\ntwo\nthree\n", 9, "three\n"],
  ["part of a line where there is no other", "abcdefgh", 4, "efgh"],
  ["part of a line that ends the text", "abcdefgh\n", 4, "fgh\n"],
  ["no split character", "ééé", 3, "é"],
  ["no split pair", "x🦕", 3, ""],
  ["nothing of nothing", "", 0, ""],
];

for (const [what, text, maxBytes, expected] of TAILS) {
  Deno.test(`tailOf() keeps ${what}`, () => assert.equal(tailOf(text, maxBytes), expected));
}

Deno.test("tailOf() never gives more bytes than asked for, and only what the text ends with", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), fc.nat(60), (text, maxBytes) => {
      const tail = tailOf(text, maxBytes);
      assert.ok(new TextEncoder().encode(tail).length <= maxBytes);
      assert.ok(text.endsWith(tail));
    }),
    { numRuns: 2000, seed: 4 },
  );
});
