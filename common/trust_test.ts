import assert from "node:assert/strict";
import { concatBytes, digestOf } from "./base64.ts";
import { type Bytes, encodeUtf8, type Json } from "./canonical.ts";
import { type DocumentKind, ENVELOPE_MAX_BYTES, formatEnvelope, signEnvelope } from "./envelope.ts";
import { type ErrorCode, OtaError } from "./errors.ts";
import type { Signer } from "./key.ts";
import { formatRelease, type Release } from "./release.ts";
import { signRelease, TEST_NOW_MS, testClock, testPolicy, testRelease, testSigner } from "./testing/documents.ts";
import { type Acceptance, acceptRelease, checkFloor, type TrustClock, trustedNowMs, verifyRelease } from "./trust.ts";

const [ALICE, BOB, MALLORY] = await Promise.all([1, 2, 66].map((seed) => testSigner(seed))) as [Signer, Signer, Signer];
const POLICY = testPolicy([ALICE]);
const KIND = { system: "x86_64-linux", variant: "default" };

async function offer(release: Release, change: Partial<Parameters<typeof acceptRelease>[0]> = {}): Promise<Acceptance> {
  const envelope = await signRelease(release, [ALICE]);
  return await acceptRelease({ envelope, policy: POLICY, kind: KIND, floor: null, clock: testClock(), ...change });
}

async function codeOf(acceptance: Promise<Acceptance>): Promise<ErrorCode | "accepted"> {
  const answer = await acceptance;
  return answer.kind === "accepted" ? "accepted" : answer.code;
}

Deno.test("acceptRelease() answers with what was verified, the device's target and the floor to persist", async () => {
  const release = testRelease();
  const envelope = await signRelease(release, [ALICE]);
  const digest = await digestOf(formatRelease(release));
  assert.deepEqual(await acceptRelease({ envelope, policy: POLICY, kind: KIND, floor: null, clock: testClock() }), {
    kind: "accepted",
    verified: { release, digest, envelope },
    target: release.targets[0],
    floor: { revision: 7, digest },
    stale: false,
  });
});

/** What is wrong with a release, in the order of protocol 2.2, and the code of the step that finds it. */
const DEFECTS = {
  size: "envelope_too_large",
  encoding: "encoding_invalid",
  json: "json_not_canonical",
  keys: "envelope_invalid",
  base64: "base64_invalid",
  signer: "signatures_insufficient",
  type: "payload_type_unexpected",
  payloadJson: "payload_not_canonical",
  schema: "payload_invalid",
  root: "root_unknown",
  fleet: "fleet_mismatch",
  channel: "channel_mismatch",
  target: "no_target",
  revision: "revision_too_old",
  time: "release_expired",
} as const satisfies Record<string, ErrorCode>;
type Defect = keyof typeof DEFECTS;
const ORDER = Object.keys(DEFECTS) as Defect[];

/** An offer with these defects and no others. */
async function offerWith(defects: ReadonlySet<Defect>): Promise<Acceptance> {
  const has = (defect: Defect): boolean => defects.has(defect);
  const release: Json = {
    ...testRelease({
      root: has("root") ? 1 : 0,
      fleet: has("fleet") ? "other" : "default",
      channel: has("channel") ? "other" : "prod",
    }),
    ...(has("schema") ? { surprise: true } : {}),
  };
  const payload = encodeUtf8(JSON.stringify(release) + (has("payloadJson") ? "\n" : ""));
  const kind: DocumentKind = has("type") ? "checkin" : "release";
  const envelope = await signEnvelope(kind, payload, [has("signer") ? MALLORY : ALICE]);
  let text = formatEnvelope(envelope);
  if (has("base64")) text = text.replace('=="}]', '"}]');
  if (has("keys")) text = text.replace(/}$/, ',"more":1}');
  if (has("json")) text += "\n";
  return await acceptRelease({
    envelope: concatBytes(
      encodeUtf8(text),
      has("encoding") ? Uint8Array.of(0xff) : new Uint8Array(),
      has("size") ? new Uint8Array(ENVELOPE_MAX_BYTES) : new Uint8Array(),
    ),
    policy: POLICY,
    kind: { ...KIND, variant: has("target") ? "tall" : "default" },
    floor: has("revision") ? { revision: 8, digest: "sha256:" } : null,
    clock: testClock(has("time") ? { systemMs: Date.UTC(2027, 0, 1) } : {}),
  });
}

for (const [at, defect] of ORDER.entries()) {
  Deno.test(`acceptRelease() refuses with ${DEFECTS[defect]}, and before every later step`, async () => {
    assert.equal(await codeOf(offerWith(new Set([defect]))), DEFECTS[defect]);
    for (const later of ORDER.slice(at + 1)) {
      assert.equal(await codeOf(offerWith(new Set([defect, later]))), DEFECTS[defect], `with ${later}`);
    }
    assert.equal(await codeOf(offerWith(new Set(ORDER.slice(at)))), DEFECTS[defect], "with all later ones");
  });
}

Deno.test("acceptRelease() accepts the offer without a defect", async () => {
  assert.equal(await codeOf(offerWith(new Set())), "accepted");
});

Deno.test("acceptRelease() names the place in its message and ends without a period", async () => {
  for (const defect of ORDER) {
    const answer = await offerWith(new Set([defect]));
    assert.ok(answer.kind === "refused");
    assert.match(answer.message, /^Cannot (?:read|trust|use|take) .*[^.]$/s);
  }
});

Deno.test("acceptRelease() finds equivocation before the time, and after the target", async () => {
  const floor = { revision: 7, digest: `sha256:${"00".repeat(32)}` };
  const clock = testClock({ systemMs: Date.UTC(2027, 0, 1) });
  assert.equal(await codeOf(offer(testRelease(), { floor, clock })), "equivocation");
  assert.equal(await codeOf(offer(testRelease(), { floor, clock, kind: { ...KIND, variant: "x" } })), "no_target");
});

const SAME = await digestOf(formatRelease(testRelease()));
const OTHER = `sha256:${"00".repeat(32)}`;
const MAX = Number.MAX_SAFE_INTEGER;
const FLOORS: readonly [
  what: string,
  floor: { revision: number; digest: string } | null,
  code: ErrorCode | "accepted",
][] = [
  ["no floor", null, "accepted"],
  ["a floor far below", { revision: 1, digest: OTHER }, "accepted"],
  ["a floor one below", { revision: 6, digest: OTHER }, "accepted"],
  ["a floor below with the same digest", { revision: 6, digest: SAME }, "accepted"],
  ["the floor itself", { revision: 7, digest: SAME }, "accepted"],
  ["its revision with another content", { revision: 7, digest: OTHER }, "equivocation"],
  ["a floor one above", { revision: 8, digest: OTHER }, "revision_too_old"],
  ["a floor above with the same digest", { revision: 8, digest: SAME }, "revision_too_old"],
  ["the highest floor", { revision: MAX, digest: OTHER }, "revision_too_old"],
];

for (const [what, floor, code] of FLOORS) {
  Deno.test(`acceptRelease() of revision 7 over ${what} is ${code}`, async () => {
    assert.equal(await codeOf(offer(testRelease(), { floor })), code);
    const check = (): void => checkFloor({ revision: 7, digest: SAME }, floor);
    if (code === "accepted") check();
    else assert.throws(check, { code });
  });
}

Deno.test("acceptRelease() tells equivocation by any byte of the payload, such as a note", async () => {
  const floor = { revision: 7, digest: SAME };
  assert.equal(await codeOf(offer(testRelease({ notes: "x" }), { floor })), "equivocation");
});

Deno.test("checkFloor() says how high the floor is", () => {
  assert.throws(
    () => checkFloor({ revision: 1, digest: SAME }, { revision: 9, digest: SAME }),
    (error) =>
      error instanceof OtaError && error.extra["highest"] === 9 && error.message.includes("under a new revision"),
  );
});

const ISSUED = Date.UTC(2026, 0, 1);
const EXPIRES = Date.UTC(2026, 3, 1);
const CLOCKS: readonly [what: string, clock: TrustClock, answer: "good" | "stale" | "release_expired"][] = [
  ["a set clock in time", { systemMs: TEST_NOW_MS, synchronised: true, floorMs: 0 }, "good"],
  ["a set clock a millisecond before expiry", { systemMs: EXPIRES - 1, synchronised: true, floorMs: 0 }, "good"],
  ["a set clock at expiry", { systemMs: EXPIRES, synchronised: true, floorMs: 0 }, "release_expired"],
  ["a set clock ten years on", { systemMs: Date.UTC(2036), synchronised: true, floorMs: 0 }, "release_expired"],
  ["a set clock before the release was issued", { systemMs: ISSUED - 1, synchronised: true, floorMs: 0 }, "good"],
  [
    "a set clock that lags behind what is proved",
    { systemMs: 0, synchronised: true, floorMs: EXPIRES },
    "release_expired",
  ],
  ["a set clock and an older proof", { systemMs: TEST_NOW_MS, synchronised: true, floorMs: EXPIRES - 1 }, "good"],
  ["no battery: a clock of 1970", { systemMs: 0, synchronised: false, floorMs: 0 }, "good"],
  ["no battery and a proof in time", { systemMs: 0, synchronised: false, floorMs: TEST_NOW_MS }, "good"],
  ["a clock that nothing set, at expiry", { systemMs: EXPIRES, synchronised: false, floorMs: 0 }, "stale"],
  ["a clock that nothing set, in the far future", { systemMs: 8.64e15, synchronised: false, floorMs: 0 }, "stale"],
  ["a clock that nothing set and a proof of expiry", { systemMs: 0, synchronised: false, floorMs: EXPIRES }, "stale"],
];

for (const [what, clock, expected] of CLOCKS) {
  Deno.test(`acceptRelease() with ${what} is ${expected}`, async () => {
    const answer = await offer(testRelease(), { clock });
    if (answer.kind === "accepted") assert.equal(answer.stale ? "stale" : "good", expected);
    else assert.equal(answer.code, expected);
  });
}

Deno.test("acceptRelease() refuses an expired release even if it is the floor, and lets the device keep what it runs", async () => {
  const floor = { revision: 7, digest: SAME };
  assert.equal(
    await codeOf(offer(testRelease(), { floor, clock: testClock({ systemMs: EXPIRES }) })),
    "release_expired",
  );
});

Deno.test("trustedNowMs() is the later of clock and floor, and no clock that is not a number", async () => {
  assert.equal(trustedNowMs({ systemMs: 1, synchronised: false, floorMs: 2 }), 2);
  assert.equal(trustedNowMs({ systemMs: 3, synchronised: false, floorMs: 2 }), 3);
  assert.throws(() => trustedNowMs({ systemMs: NaN, synchronised: true, floorMs: 2 }), RangeError);
  await assert.rejects(() => offer(testRelease(), { clock: testClock({ floorMs: NaN }) }), RangeError);
});

Deno.test("acceptRelease() throws at a broken policy instead of accepting or refusing", async () => {
  for (const threshold of [0, -1, NaN, 2]) {
    await assert.rejects(() => offer(testRelease(), { policy: { ...POLICY, threshold } }), RangeError);
  }
  await assert.rejects(() => offer(testRelease(), { policy: { ...POLICY, keys: [] } }), RangeError);
});

Deno.test("acceptRelease() takes the device's own target among many", async () => {
  const [target] = testRelease().targets;
  assert.ok(target);
  const targets = ["a", "default", "z"].flatMap((variant) => [
    { ...target, variant, narHash: target.narHash },
    { ...target, variant, system: "aarch64-linux" },
  ]);
  for (const kind of [{ system: "aarch64-linux", variant: "z" }, { system: "x86_64-linux", variant: "a" }]) {
    const answer = await offer(testRelease({ targets }), { kind });
    assert.ok(answer.kind === "accepted");
    assert.deepEqual({ system: answer.target.system, variant: answer.target.variant }, kind);
  }
});

Deno.test("verifyRelease() needs the threshold of the policy", async () => {
  const both = testPolicy([ALICE, BOB]);
  const one: Bytes = await signRelease(testRelease(), [ALICE]);
  await assert.rejects(() => verifyRelease(one, both), { code: "signatures_insufficient" });
  await verifyRelease(one, { ...both, threshold: 1 });
  assert.equal((await verifyRelease(await signRelease(testRelease(), [BOB, ALICE]), both)).digest, SAME);
});
