import assert from "node:assert/strict";
import { encodeUtf8, type Json } from "./canonical.ts";
import { type ErrorCode, OtaError } from "./errors.ts";
import { APPLY_MODES, formatRelease, parseRelease, type Release, targetFor } from "./release.ts";
import { SchemaError } from "./schema.ts";
import { TEST_CACHE_KEY, TEST_NAR_HASH, testRelease, testStorePath } from "./testing/documents.ts";
import { mutantsOf, withField } from "./testing/mutants.ts";

function refusedWith(code: ErrorCode, part = ""): (error: unknown) => boolean {
  return (error) => error instanceof OtaError && error.code === code && error.message.includes(part);
}

function read(value: Json): Release {
  return parseRelease(encodeUtf8(JSON.stringify(value)));
}

Deno.test("parseRelease() reads back what formatRelease() prints", () => {
  const release = testRelease({ prev: `sha256:${"12".repeat(32)}`, notes: "Zürich\n🦕" });
  assert.deepEqual(parseRelease(formatRelease(release)), release);
});

Deno.test("formatRelease() refuses what parseRelease() would, so that it is never signed", () => {
  assert.throws(() => formatRelease(testRelease({ revision: 0 })), SchemaError);
  assert.throws(() => formatRelease({ ...testRelease(), extra: 1 } as Release), SchemaError);
});

Deno.test("parseRelease() refuses a release with any key or type wrong, and names the place", () => {
  let refused = 0;
  for (const { what, value } of mutantsOf(testRelease(), ["prev"])) {
    assert.throws(() => read(value), (error) => {
      if (!(error instanceof OtaError)) return false;
      return error.code === "payload_invalid" || error.code === "payload_not_canonical";
    }, what);
    refused += 1;
  }
  assert.ok(refused > 300, `${refused}`);
});

const DIGEST = `sha256:${"ab".repeat(32)}`;
const KEY = TEST_CACHE_KEY;
const CACHE = { url: "https://cache.example.org", keys: [KEY] };
const TARGET = testRelease().targets[0];
assert.ok(TARGET);

function targets(count: number): Json {
  return Array.from({ length: count }, (_, at) => ({ ...TARGET, variant: `v${at}` }));
}

/** Every field at and over its limits. */
const FIELDS: readonly [path: string, value: Json, good: boolean][] = [
  ["type", "nix-ota/checkin", false],
  ["v", 0, false],
  ["v", 2, false],
  ["v", "1", false],
  ...["fleet", "channel", "targets.0.variant"].flatMap((path): [string, Json, boolean][] => [
    [path, "a", true],
    [path, "0-a-", true],
    [path, "x".repeat(63), true],
    [path, "x".repeat(64), false],
    [path, "", false],
    [path, "-a", false],
    [path, "A", false],
    [path, "a.b", false],
    [path, "a_b", false],
    [path, "a/b", false],
    [path, "a b", false],
    [path, "a\n", false],
    [path, "ä", false],
    [path, "..", false],
    [path, "%2e", false],
  ]),
  ["revision", 1, true],
  ["revision", Number.MAX_SAFE_INTEGER, true],
  ["revision", 0, false],
  ["revision", -1, false],
  ["revision", "7", false],
  ["root", 0, true],
  ["root", 1, true],
  ["root", -1, false],
  ["prev", null, true],
  ["prev", DIGEST, true],
  ["prev", DIGEST.toUpperCase(), false],
  ["prev", DIGEST.slice(0, -1), false],
  ["prev", `${DIGEST}0`, false],
  ["prev", DIGEST.replace("sha256", "sha512"), false],
  ["prev", `${DIGEST}\n`, false],
  ["prev", "", false],
  ["issued", "2026-01-01", false],
  ["issued", "2026-01-01T00:00:00", false],
  ["issued", "2026-01-01T00:00:00.000Z", false],
  ["issued", "2026-01-01T00:00:00+00:00", false],
  ["issued", "2026-02-30T00:00:00Z", false],
  ["issued", "2026-01-01T24:00:00Z", false],
  ["issued", "2026-01-01T23:59:60Z", false],
  ["issued", "2026-1-1T00:00:00Z", false],
  ["issued", "2026-01-01t00:00:00z", false],
  ["expires", "2026-01-01T00:00:01Z", true], // One second.
  ["expires", "2026-01-01T00:00:00Z", false], // At once.
  ["expires", "2025-12-31T23:59:59Z", false], // Before.
  ["expires", "2027-02-05T00:00:00Z", true], // 400 days.
  ["expires", "2027-02-05T00:00:01Z", false], // And a second.
  ["expires", "9999-12-31T23:59:59Z", false],
  ["targets", targets(1), true],
  ["targets", targets(1024), true],
  ["targets", targets(1025), false],
  ["targets", [], false],
  ["targets.0.system", "aarch64-linux", true],
  ["targets.0.system", "armv7l-linux", true],
  ["targets.0.system", "x86_64", false],
  ["targets.0.system", "X86_64-linux", false],
  ["targets.0.system", "x86-64-linux", false],
  ["targets.0.system", "", false],
  ["targets.0.system", "-linux", false],
  ["targets.0.system", "x86_64-", false],
  ["targets.0.system", `${"x".repeat(33)}-linux`, false],
  ["targets.0.system", `x86_64-${"x".repeat(17)}`, false],
  ["targets.0.storePath", testStorePath("x".repeat(211)), true],
  ["targets.0.storePath", testStorePath("x".repeat(212)), false],
  ["targets.0.storePath", testStorePath("x.drv"), false],
  ["targets.0.storePath", `${testStorePath("x")}/bin`, false],
  ["targets.0.storePath", "/etc/passwd", false],
  ["targets.0.narHash", TEST_NAR_HASH, true],
  ["targets.0.narHash", TEST_NAR_HASH.replace("sha256-", "sha256:"), false],
  ["targets.0.narHash", TEST_NAR_HASH.replace("FU=", "FV="), false], // Loose bits: another spelling of one hash.
  ["targets.0.narHash", TEST_NAR_HASH.slice(0, -1), false],
  ["targets.0.narHash", TEST_NAR_HASH.replace("/", "_"), false],
  ["targets.0.narHash", `sha256:${"a".repeat(52)}`, false],
  ["targets.0.closure.paths", 1, true],
  ["targets.0.closure.paths", 65_536, true],
  ["targets.0.closure.paths", 65_537, false],
  ["targets.0.closure.paths", 0, false],
  ["targets.0.closure.narSize", 1, true],
  ["targets.0.closure.narSize", Number.MAX_SAFE_INTEGER, true],
  ["targets.0.closure.narSize", 0, false],
  ["targets.0.closure.digest", DIGEST.toUpperCase(), false],
  ["targets.0.closure.digest", "", false],
  ["substituters", [], true],
  ["substituters", Array<Json>(8).fill(CACHE), true],
  ["substituters", Array<Json>(9).fill(CACHE), false],
  ["substituters.0.keys", Array<Json>(4).fill(KEY), true],
  ["substituters.0.keys", Array<Json>(5).fill(KEY), false],
  ["substituters.0.keys", [], false],
  ["substituters.0.keys.0", `${KEY} `, false],
  ["substituters.0.keys.0", KEY.split(":")[1] ?? "", false],
  ["substituters.0.url", "http://cache.example.org", true], // The device decides whether it takes http.
  ["substituters.0.url", "https://cache.example.org/", false], // Not in normal form.
  ["substituters.0.url", "https://cache.example.org?trusted=1", false],
  ["substituters.0.url", "file:///tmp", false],
  ...APPLY_MODES.map((mode): [string, Json, boolean] => ["apply.mode", mode, true]),
  ["apply.mode", "test", false],
  ["apply.mode", "", false],
  ["apply.healthSeconds", 30, true],
  ["apply.healthSeconds", 3600, true],
  ["apply.healthSeconds", 29, false],
  ["apply.healthSeconds", 3601, false],
  ["notes", "x".repeat(1024), true],
  ["notes", "x".repeat(1025), false],
  ["notes", "\0\n\u202e", true], // Shown by those who clean it.
];

for (const [path, value, good] of FIELDS) {
  const shown = JSON.stringify(value).slice(0, 50);
  Deno.test(`parseRelease() ${good ? "accepts" : "refuses"} ${path} ${shown}`, () => {
    const release = withField(testRelease(), path, value);
    if (good) assert.deepEqual(read(release), release);
    else assert.throws(() => read(release), refusedWith("payload_invalid", `payload.${path.replace(/\.\d.*/, "")}`));
  });
}

Deno.test("parseRelease() refuses two targets for one system and variant, not for one of them", () => {
  assert.ok(TARGET);
  const other = { ...TARGET, system: "aarch64-linux" };
  const third = { ...TARGET, variant: "other" };
  read(testRelease({ targets: [TARGET, other, third] }));
  const repeated = testRelease({ targets: [TARGET, other, { ...third, variant: "default" }] });
  assert.throws(() => read(repeated), refusedWith("payload_invalid", "payload.targets[2] repeats the target"));
});

Deno.test("parseRelease() tells payloads that are not canonical from those that are no release", () => {
  const text = JSON.stringify(testRelease());
  for (
    const other of [`${text}\n`, text.replace(":7,", ":7.0,"), text.replace('"v":1', '"v":1,"v":1'), "", "\ufeff{}"]
  ) {
    assert.throws(() => parseRelease(encodeUtf8(other)), refusedWith("payload_not_canonical"));
  }
  assert.throws(() => parseRelease(Uint8Array.of(0xff)), refusedWith("payload_not_canonical"));
  assert.throws(() => parseRelease(encodeUtf8("{}")), refusedWith("payload_invalid"));
});

Deno.test("targetFor() finds the exact system and variant or nothing", () => {
  assert.ok(TARGET);
  const release = testRelease({ targets: [TARGET, { ...TARGET, variant: "tall" }] });
  assert.equal(targetFor(release, { system: "x86_64-linux", variant: "tall" })?.variant, "tall");
  assert.equal(targetFor(release, { system: "aarch64-linux", variant: "default" }), null);
  assert.equal(targetFor(release, { system: "x86_64-linux", variant: "tal" }), null);
  assert.equal(targetFor(release, { system: "x86_64-linux default", variant: "" }), null);
});
