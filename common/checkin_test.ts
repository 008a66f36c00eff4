import assert from "node:assert/strict";
import { encodeUtf8, type Json } from "./canonical.ts";
import {
  Checkin,
  CHECKIN_MAX_BYTES,
  Enrol,
  ENROL_MAX_BYTES,
  LOG_MAX_BYTES,
  LOG_TAIL_MAX_BYTES,
  LogDocument,
  parseCheckin,
  parseEnrol,
  parseLogDocument,
} from "./checkin.ts";
import { formatDocument } from "./document.ts";
import { signEnvelope } from "./envelope.ts";
import { ERROR_CODES, OtaError } from "./errors.ts";
import { PHASES, REASON_PATTERN, REASONS, RESULTS } from "./reasons.ts";
import {
  envelopeBytes,
  testCheckin,
  testEnrol,
  testLogDocument,
  testSigner,
  testStorePath,
} from "./testing/documents.ts";
import { mutantsOf, withField } from "./testing/mutants.ts";

type Row = readonly [path: string, value: Json, good: boolean];

const DIGEST = `sha256:${"ab".repeat(32)}`;
const ABOUT = { revision: 1, digest: DIGEST, storePath: testStorePath("x") };

function texts(path: string, max: number): Row[] {
  return [[path, "", true], [path, "ü\n".repeat(Math.floor(max / 2)), true], [path, "x".repeat(max + 1), false]];
}

function lists(path: string, { items, max, item }: { items: number; max: number; item: string }): Row[] {
  return [
    [path, [], true],
    [path, Array<Json>(items).fill(item.repeat(max)), true],
    [path, Array<Json>(items + 1).fill(item), false],
    [path, [item.repeat(max + 1)], false],
  ];
}

const CHECKIN_ROWS: readonly Row[] = [
  ["type", "nix-ota/enrol", false],
  ["v", 2, false],
  ["fleet", "Default", false],
  ["deviceId", "../x", false],
  ["deviceId", "x".repeat(63), true],
  ["deviceId", "x".repeat(64), false],
  ["seq", 1, true],
  ["seq", 0, false],
  ["seq", Number.MAX_SAFE_INTEGER, true],
  ["nonce", "", true],
  ["nonce", "x".repeat(64), true],
  ["nonce", "x".repeat(65), false],
  ["nonce", "a b", false],
  ["nonce", "a=", false],
  ["bootId", "f", true],
  ["bootId", "", false],
  ["bootId", "F", false],
  ["bootId", "Ff", false],
  ["bootId", "fF", false],
  ["bootId", "f".repeat(65), false],
  ["at", "now", false],
  ["clock", "synced", true],
  ["clock", "unsynced", true],
  ["clock", "wrong", false],
  ["root", 0, true],
  ["root", -1, false],
  ["channel", "", false],
  ["system", "linux", false],
  ["variant", "x y", false],
  ["seen", null, true],
  ["seen", { revision: 0, digest: DIGEST }, false],
  ["seen.digest", "x", false],
  ...PHASES.map((phase): Row => ["state.phase", phase, true]),
  ["state.phase", "succeeded", false],
  ...RESULTS.map((result): Row => ["state.result", result, true]),
  ["state.result", "idle", false],
  ["state.result", null, true],
  ["state.target", null, true],
  ["state.target", ABOUT, true],
  ["state.target", { ...ABOUT, storePath: "/etc" }, false],
  ["state.target", { ...ABOUT, storePath: null }, false],
  ["state.progress", null, true],
  ["state.progress.bytes", 0, true],
  ["state.progress.bytes", -1, false],
  ["state.reason", null, true],
  ["state.reason", "no_target", true],
  ["state.reason", "health_failed:", false],
  ["state.reason", `${"x".repeat(40)}:${"~".repeat(200)}`, true],
  ["state.reason", `${"x".repeat(40)}:${"~".repeat(201)}`, false],
  ["state.reason", "x".repeat(41), false],
  ["state.reason", "x:\n", false],
  ["state.reason", "x:\x1b[0m", false],
  ["state.reason", "X", false],
  ["state.reason", "", false],
  ["state.detail", null, true],
  ...texts("state.detail", 2048),
  ...["running", "booted", "profile", "bootDefault"].flatMap((name): Row[] => [
    [`state.${name}`, null, true],
    [`state.${name}`, testStorePath("y"), true],
    [`state.${name}`, "/run/current-system", false],
    [`state.${name}`, "", false],
  ]),
  ["state.needsReboot", true, true],
  ["state.needsReboot", "true", false],
  ...lists("state.inhibitors", { items: 16, max: 200, item: "x" }),
  ...lists("state.failedUnits", { items: 32, max: 256, item: "x" }),
  ["state.disk", null, true],
  ["state.disk.free", 0, true],
  ["state.disk.free", -1, false],
  ["state.kernel", null, true],
  ...texts("state.kernel", 64),
  ["state.nixosVersion", null, true],
  ...texts("state.nixosVersion", 64),
  ...texts("state.agent", 64),
];

const ENROL_ROWS: readonly Row[] = [
  ["type", "nix-ota/checkin", false],
  ["v", 0, false],
  ["fleet", "", false],
  ["deviceId", "a.b", false],
  ["channel", "a/b", false],
  ["publicKey", "", false],
  ["publicKey", "A".repeat(44), false],
  ["publicKey", `${"A".repeat(43)}= `, false],
  ["publicKey", "ssh-ed25519 AAAA", false],
  ["facts.system", "x", false],
  ["facts.variant", "X", false],
  ...texts("facts.hostname", 253),
  ["facts.nixosVersion", null, true],
  ["facts.kernel", null, true],
  ["facts.machine", null, true],
  ["facts.machine", "ab".repeat(31), false],
  ["facts.machine", "AB".repeat(32), false],
  ["facts.agent", "x".repeat(65), false],
  ["token", null, true],
  ["token", "x".repeat(256), true],
  ["token", "x".repeat(257), false],
  ["token", "a b", false],
  ["token", "", false],
  ["token", "a\n", false],
  ["token", "ü", false],
  ["at", "", false],
];

const LOG_ROWS: readonly Row[] = [
  ["type", "nix-ota/checkin", false],
  ["v", 2, false],
  ["fleet", "", false],
  ["deviceId", "", false],
  ["seq", 0, false],
  ["at", "2026-13-01T00:00:00Z", false],
  ["channel", "", false],
  ["revision", 0, false],
  ["digest", "", false],
  ["log", "", true],
  ["log", "x".repeat(LOG_TAIL_MAX_BYTES), true],
  ["log", "x".repeat(LOG_TAIL_MAX_BYTES + 1), false],
];

const CHECKIN_NULLS = [
  "seen",
  ..."target progress result reason detail running booted profile bootDefault disk kernel nixosVersion"
    .split(" ").map((name) => `state.${name}`),
];

const DOCUMENTS: readonly {
  name: string;
  parse: (payload: ReturnType<typeof encodeUtf8>) => unknown;
  good: Json;
  nullable: readonly string[];
  rows: readonly Row[];
}[] = [
  { name: "parseCheckin()", parse: parseCheckin, good: testCheckin(), nullable: CHECKIN_NULLS, rows: CHECKIN_ROWS },
  {
    name: "parseEnrol()",
    parse: parseEnrol,
    good: testEnrol(),
    nullable: ["facts.nixosVersion", "facts.kernel", "facts.machine", "token"],
    rows: ENROL_ROWS,
  },
  { name: "parseLogDocument()", parse: parseLogDocument, good: testLogDocument(), nullable: [], rows: LOG_ROWS },
];

for (const { name, parse, good, nullable, rows } of DOCUMENTS) {
  const read = (value: Json): unknown => parse(encodeUtf8(JSON.stringify(value)));

  Deno.test(`${name} reads a document with everything filled in, and one with every null`, () => {
    assert.deepEqual(read(good), good);
    const bare = nullable.reduce((document, path) => withField(document, path, null), good);
    assert.deepEqual(read(bare), bare);
  });

  Deno.test(`${name} refuses a document with any key or type wrong`, () => {
    let refused = 0;
    for (const { what, value } of mutantsOf(good, nullable)) {
      assert.throws(() => read(value), (error) => {
        if (!(error instanceof OtaError)) return false;
        return error.code === "payload_invalid" || error.code === "payload_not_canonical";
      }, what);
      refused += 1;
    }
    assert.ok(refused > 100, `${refused}`);
  });

  for (const [path, value, accepted] of rows) {
    Deno.test(`${name} ${accepted ? "accepts" : "refuses"} ${path} ${JSON.stringify(value).slice(0, 40)}`, () => {
      const document = withField(good, path, value);
      if (accepted) assert.deepEqual(read(document), document);
      else assert.throws(() => read(document), { code: "payload_invalid", message: new RegExp(`payload\\.${path}`) });
    });
  }
}

Deno.test("formatDocument() prints each document canonically and refuses what its parser refuses", () => {
  assert.deepEqual(parseCheckin(formatDocument(Checkin, testCheckin())), testCheckin());
  assert.deepEqual(parseEnrol(formatDocument(Enrol, testEnrol())), testEnrol());
  assert.deepEqual(parseLogDocument(formatDocument(LogDocument, testLogDocument())), testLogDocument());
  assert.throws(() => formatDocument(Checkin, testCheckin({ seq: 0 })), {
    name: "SchemaError",
    message: /document\.seq/,
  });
});

Deno.test("ordinary documents fit their envelopes with room to spare, and so does a log tail of 64 KiB", async () => {
  const signer = await testSigner(1);
  const checkin = envelopeBytes(await signEnvelope("checkin", formatDocument(Checkin, testCheckin()), [signer]));
  const enrol = envelopeBytes(await signEnvelope("enrol", formatDocument(Enrol, testEnrol()), [signer]));
  const lines = `${"x".repeat(79)}\n`.repeat(LOG_TAIL_MAX_BYTES / 80);
  const log = formatDocument(LogDocument, testLogDocument({ log: lines }));
  assert.ok(checkin.length < CHECKIN_MAX_BYTES / 4, `${checkin.length}`);
  assert.ok(enrol.length < ENROL_MAX_BYTES / 4, `${enrol.length}`);
  assert.ok(envelopeBytes(await signEnvelope("log", log, [signer])).length < LOG_MAX_BYTES);
});

Deno.test("every error code can be the reason of a refusal", () => {
  for (const code of Object.keys(ERROR_CODES)) assert.match(code, REASON_PATTERN);
});

Deno.test("REASONS are codes that a report may carry, each with a sentence", () => {
  for (const [code, sentence] of Object.entries(REASONS)) {
    assert.match(code, REASON_PATTERN);
    assert.match(`${code}:exit 3`, REASON_PATTERN);
    assert.match(sentence, /^[A-Z].*[^.]$/);
  }
});
