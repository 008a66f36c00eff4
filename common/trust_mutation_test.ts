/**
 * Nothing runs unless the trusted keys signed exactly these bytes: some 11,700 envelopes that differ from well-signed
 * ones, the same on every run, none of which may be accepted or make the decision throw.
 */
import assert from "node:assert/strict";
import { concatBytes, equalBytes, formatBase64, parseBase64 } from "./base64.ts";
import { type Bytes, decodeUtf8, encodeUtf8, formatCanonicalJson, type Json } from "./canonical.ts";
import { Checkin, Enrol, LogDocument } from "./checkin.ts";
import { formatDocument } from "./document.ts";
import { type DocumentKind, type Envelope, formatEnvelope, PAYLOAD_TYPES, signEnvelope } from "./envelope.ts";
import type { Signer } from "./key.ts";
import { formatRelease } from "./release.ts";
import {
  envelopeBytes,
  testCheckin,
  testClock,
  testEnrol,
  testLogDocument,
  testPolicy,
  testRelease,
  testSigner,
} from "./testing/documents.ts";
import { mutantsOf } from "./testing/mutants.ts";
import { flipBit, fromLittleEndian, littleEndian, pickNumber, randomBytes, seededRandom } from "./testing/random.ts";
import { acceptRelease } from "./trust.ts";

const random = seededRandom(20_260_101);
const [ALICE, BOB, ...STRANGERS] = await Promise.all([1, 2, 61, 62, 63, 64].map((seed) => testSigner(seed))) as [
  Signer,
  Signer,
  ...Signer[],
];
/** Two of two: whatever loses one signature must fail. */
const POLICY = testPolicy([ALICE, BOB]);
const KIND = { system: "x86_64-linux", variant: "default" };

const PAYLOAD = formatRelease(testRelease());
const SIGNED = await signEnvelope("release", PAYLOAD, [ALICE, BOB]);
const BYTES = envelopeBytes(SIGNED);
const TEXT = decodeUtf8(BYTES);

/** Well signed all of them: other revisions, and other kinds of document. */
const OTHERS: readonly Envelope[] = await Promise.all([
  ...[1, 6, 8, 9].map((revision) => signEnvelope("release", formatRelease(testRelease({ revision })), [ALICE, BOB])),
  signEnvelope("release", formatRelease(testRelease({ channel: "staging" })), [ALICE, BOB]),
  signEnvelope("checkin", formatDocument(Checkin, testCheckin()), [ALICE, BOB]),
  signEnvelope("enrol", formatDocument(Enrol, testEnrol()), [ALICE, BOB]),
  signEnvelope("log", formatDocument(LogDocument, testLogDocument()), [ALICE, BOB]),
  signEnvelope("checkin", PAYLOAD, [ALICE, BOB]), // The payload of a release, signed as something else.
]);

/** `keyid` is a hint that nothing depends on (protocol 1.5): a change of it alone is no change of what is signed. */
function withoutHints(text: string): string {
  return text.replaceAll(/"keyid":"[ -!#-[\]-~]{0,128}"/g, '"keyid":""');
}

const ORIGINAL = withoutHints(TEXT);

function count(times: number, make: () => Bytes): Bytes[] {
  return Array.from({ length: times }, make);
}

function splice(bytes: Bytes, { at, cut, insert }: { at: number; cut: number; insert: Bytes }): Bytes {
  return concatBytes(bytes.slice(0, at), insert, bytes.slice(at + cut));
}

function pickPlace(): number {
  return pickNumber(random, BYTES.length);
}

function signedBy(change: Partial<Envelope>): Bytes {
  return envelopeBytes({ ...SIGNED, ...change });
}

/** The envelope with other bytes for the signatures. */
function withSignatures(...sigs: readonly Bytes[]): Bytes {
  return signedBy({ signatures: sigs.map((sig, at) => ({ keyid: SIGNED.signatures[at]?.keyid ?? "", sig })) });
}

const [SIG_A, SIG_B] = SIGNED.signatures.map(({ sig }) => sig) as [Bytes, Bytes];

function bytesChanged(): Bytes[] {
  return [
    ...Array.from(BYTES, (_, at) => flipBit(BYTES, at * 8 + pickNumber(random, 8))),
    ...count(2000, () => flipBit(BYTES, pickNumber(random, BYTES.length * 8))),
    ...count(1500, () => splice(BYTES, { at: pickPlace(), cut: 1, insert: randomBytes(random, 1) })),
    ...count(500, () => [1, 2, 3, 4].reduce((bytes) => flipBit(bytes, pickNumber(random, bytes.length * 8)), BYTES)),
  ];
}

function bytesCutOrAdded(): Bytes[] {
  return [
    ...Array.from({ length: Math.ceil(BYTES.length / 3) }, (_, at) => BYTES.slice(0, at * 3)),
    ...Array.from({ length: 300 }, (_, at) => BYTES.slice(1 + at * 5)),
    ...count(
      800,
      () => splice(BYTES, { at: pickPlace(), cut: 0, insert: randomBytes(random, 1 + pickNumber(random, 4)) }),
    ),
    ...count(600, () => splice(BYTES, { at: pickPlace(), cut: 1 + pickNumber(random, 40), insert: new Uint8Array() })),
    ...count(400, () => {
      const from = pickPlace();
      return splice(BYTES, { at: pickPlace(), cut: 0, insert: BYTES.slice(from, from + 1 + pickNumber(random, 60)) });
    }),
    ...[" ", "\n", "\r\n", "\t", "\0", "\ufeff", "{}", "null", ",", TEXT].flatMap((more) => [
      encodeUtf8(TEXT + more),
      encodeUtf8(more + TEXT),
    ]),
  ];
}

/** The payload changed and encoded again, so that only the signatures can tell. */
function payloadsChanged(): Bytes[] {
  const document = JSON.parse(decodeUtf8(PAYLOAD)) as Json;
  return [
    ...count(1500, () => signedBy({ payload: flipBit(PAYLOAD, pickNumber(random, PAYLOAD.length * 8)) })),
    ...count(100, () => signedBy({ payload: PAYLOAD.slice(0, pickNumber(random, PAYLOAD.length)) })),
    ...Array.from(mutantsOf(document), ({ value }) => signedBy({ payload: encodeUtf8(JSON.stringify(value)) })),
    ...["\n", " ", "\0", "{}"].map((more) => signedBy({ payload: concatBytes(PAYLOAD, encodeUtf8(more)) })),
    ...count(200, () => signedBy({ payload: formatRelease(testRelease({ revision: 8 + pickNumber(random, 1e9) })) })),
  ];
}

function signaturesChanged(): Bytes[] {
  const zero = new Uint8Array(64);
  const order = 2n ** 252n + 27742317777372353535851937790883648493n;
  const malleable = (sig: Bytes, times: bigint): Bytes =>
    concatBytes(sig.slice(0, 32), littleEndian(fromLittleEndian(sig.slice(32)) + times * order));
  const multiples = Array.from({ length: 14 }, (_, at) => BigInt(at + 1));
  return [
    ...Array.from({ length: 512 }, (_, bit) => withSignatures(flipBit(SIG_A, bit), SIG_B)),
    ...Array.from({ length: 512 }, (_, bit) => withSignatures(SIG_A, flipBit(SIG_B, bit))),
    ...multiples.map((times) => withSignatures(malleable(SIG_A, times), SIG_B)),
    ...multiples.map((times) => withSignatures(SIG_A, malleable(SIG_B, times))),
    ...[zero, SIG_A, SIG_A.toReversed(), concatBytes(SIG_B.slice(32), SIG_B.slice(0, 32))].map((sig) =>
      withSignatures(SIG_A, sig)
    ),
    withSignatures(SIG_A),
    withSignatures(SIG_B),
    withSignatures(),
    ...Array.from({ length: 16 }, (_, more) => withSignatures(...Array<Bytes>(more + 1).fill(SIG_A))),
    ...Array.from({ length: 16 }, (_, more) => withSignatures(...Array<Bytes>(more + 1).fill(SIG_B))),
    withSignatures(...Array<Bytes>(17).fill(SIG_A).with(3, SIG_B)),
    ...count(300, () => withSignatures(SIG_A, randomBytes(random, 64))),
    ...[0, 1, 63, 65, 128].map((length) => withSignatures(SIG_A, randomBytes(random, length))),
  ];
}

/** Signed well, but not by both; or by both, but for something else. */
async function signersChanged(): Promise<Bytes[]> {
  const sets: readonly (readonly Signer[])[] = [
    [ALICE],
    [BOB],
    STRANGERS,
    ...STRANGERS.map((stranger) => [stranger]),
    ...STRANGERS.map((stranger) => [ALICE, stranger]),
    ...STRANGERS.map((stranger) => [stranger, BOB, stranger]),
  ];
  const out: Bytes[] = [];
  for (const revision of [7, 8, 9, 100]) {
    const payload = formatRelease(testRelease({ revision }));
    for (const signers of sets) {
      const envelope = await signEnvelope("release", payload, signers);
      out.push(envelopeBytes(envelope));
      // And under the names of those who did not sign.
      const signatures = envelope.signatures.map(({ sig }, at) => ({
        keyid: SIGNED.signatures[at % 2]?.keyid ?? "",
        sig,
      }));
      out.push(envelopeBytes({ ...envelope, signatures }));
    }
  }
  return out;
}

/** Parts of several well-signed envelopes put together, and other types on well-signed payloads. */
function partsSwapped(): Bytes[] {
  const all = [SIGNED, ...OTHERS];
  const types = [
    ...Object.values(PAYLOAD_TYPES),
    "application/vnd.in-toto+json",
    "x",
    PAYLOAD_TYPES.release.toUpperCase(),
  ];
  return [
    ...all.flatMap((one) => all.map((other) => ({ ...one, payload: other.payload }))),
    ...all.flatMap((one) => all.map((other) => ({ ...one, signatures: other.signatures }))),
    ...all.flatMap((one) => all.map((other) => ({ ...one, signatures: one.signatures.with(0, other.signatures[1]!) }))), // All have two.
    ...all.flatMap((one) => types.map((payloadType) => ({ ...one, payloadType }))),
  ].filter((mixed) => !all.some((one) => formatEnvelope(one) === formatEnvelope(mixed))).map(envelopeBytes);
}

/** The JSON of the envelope changed: keys, types, other spellings of base64. */
function jsonChanged(): Bytes[] {
  const document = JSON.parse(TEXT) as { payload: string; signatures: { sig: string }[] };
  const spellings = (base64: string): string[] => [
    base64.replaceAll("=", ""),
    base64 + "=",
    `${base64}====`,
    base64.replaceAll("=", "%3D"),
    base64.replaceAll("+", "-").replaceAll("/", "_"),
    `${base64.slice(0, 8)}\n${base64.slice(8)}`,
    ` ${base64}`,
    `${base64} `,
    ...(base64.endsWith("==") ? ["B", "C", "P"].map((bits) => loosened(base64, bits)) : []),
  ];
  const encoded = [document.payload, ...document.signatures.map(({ sig }) => sig)];
  return [
    ...Array.from(mutantsOf(document as unknown as Json), ({ value }) => encodeUtf8(formatCanonicalJson(value))),
    ...encoded.flatMap((base64) => spellings(base64).map((other) => encodeUtf8(TEXT.replace(base64, other)))),
    encodeUtf8(JSON.stringify(document, null, 1)),
    encodeUtf8(TEXT.replace('"payload"', '"payload":"","payload"')),
    encodeUtf8(TEXT.replace("release", "\\u0072elease")),
    encodeUtf8(TEXT.replaceAll("/", "\\/")),
    encodeUtf8(`[${TEXT}]`),
    encodeUtf8(JSON.stringify(TEXT)),
    encodeUtf8("[".repeat(100_000) + TEXT),
    new Uint8Array(2 * 1024 * 1024),
    new Uint8Array(),
  ];
}

/** The same bytes with other bits behind the last one. */
function loosened(base64: string, bits: string): string {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const last = alphabet.indexOf(base64.at(-3) ?? "") | (alphabet.indexOf(bits) & 15);
  return `${base64.slice(0, -3)}${alphabet[last]}==`;
}

const CLASSES: readonly [what: string, make: () => Bytes[] | Promise<Bytes[]>, least: number][] = [
  ["bits and bytes changed", bytesChanged, 5000],
  ["bytes cut off, cut out, put in or doubled", bytesCutOrAdded, 2500],
  ["the payload changed and encoded again", payloadsChanged, 2000],
  ["signatures changed, repeated, left out or made malleable", signaturesChanged, 1300],
  ["other signers", signersChanged, 50],
  ["parts of well-signed envelopes swapped", partsSwapped, 200],
  ["the envelope's JSON changed", jsonChanged, 150],
];

/** Codes of the steps up to the signatures: what is not signed by both may get no further. */
const UNTRUSTED = new Set([
  "envelope_too_large",
  "encoding_invalid",
  "json_not_canonical",
  "envelope_invalid",
  "base64_invalid",
  "signatures_insufficient",
]);

function decide(envelope: Bytes): ReturnType<typeof acceptRelease> {
  return acceptRelease({ envelope, policy: POLICY, kind: KIND, floor: null, clock: testClock() });
}

Deno.test("acceptRelease() refuses each of 10,000 mutants before it trusts anything in them", async (t) => {
  assert.equal((await decide(BYTES)).kind, "accepted");
  const codes = new Map<string, number>();
  for (const [what, make, least] of CLASSES) {
    await t.step(what, async () => {
      const refused = await refusedCodes(await make());
      assert.ok(refused.length >= least, `only ${refused.length} mutants`);
      for (const code of refused) codes.set(code, (codes.get(code) ?? 0) + 1);
    });
  }
  const total = [...codes.values()].reduce((sum, one) => sum + one, 0);
  assert.ok(total >= 10_000, `only ${total} mutants`);
  assert.deepEqual(new Set(codes.keys()), UNTRUSTED); // Every step up to the signatures refused some.
});

/** The code that refused each mutant that is one. */
async function refusedCodes(mutants: readonly Bytes[]): Promise<string[]> {
  const codes: string[] = [];
  for (const mutant of mutants) {
    if (equalBytes(mutant, BYTES)) continue;
    const answer = await decide(mutant);
    if (answer.kind === "accepted") {
      // Only the hints differ: then it is the very document that was signed.
      assert.equal(withoutHints(decodeUtf8(mutant)), ORIGINAL, "accepted a mutant");
      assert.deepEqual(answer.verified.release, testRelease());
      continue;
    }
    assert.ok(UNTRUSTED.has(answer.code), `${answer.code} was reached without the signatures of both`);
    codes.push(answer.code);
  }
  return codes;
}

Deno.test("acceptRelease() refuses every other kind of document that both keys signed", async () => {
  const kinds = Object.entries(PAYLOAD_TYPES).filter(([kind]) => kind !== "release") as [DocumentKind, string][];
  for (const [kind] of kinds) {
    for (const payload of [PAYLOAD, ...OTHERS.map((other) => other.payload)]) {
      const answer = await decide(envelopeBytes(await signEnvelope(kind, payload, [ALICE, BOB])));
      assert.ok(answer.kind === "refused" && answer.code === "payload_type_unexpected");
    }
  }
});

Deno.test("acceptRelease() accepts no mutant of a payload that both keys signed but that is no release of this channel", async () => {
  const document = JSON.parse(decodeUtf8(PAYLOAD)) as Json;
  let refused = 0;
  for (const { what, value } of mutantsOf(document, ["prev"])) {
    const payload = encodeUtf8(JSON.stringify(value));
    const answer = await decide(envelopeBytes(await signEnvelope("release", payload, [ALICE, BOB])));
    assert.ok(answer.kind === "refused", what);
    assert.ok(["payload_invalid", "payload_not_canonical"].includes(answer.code), `${what}: ${answer.code}`);
    refused += 1;
  }
  assert.ok(refused > 300);
});

Deno.test("the mutants of base64 are other spellings of the same bytes", () => {
  const base64 = formatBase64(SIG_A);
  const lenient = (text: string): string => atob(text);
  assert.notEqual(loosened(base64, "B"), base64);
  assert.equal(lenient(loosened(base64, "B")), lenient(base64));
  assert.equal(parseBase64(loosened(base64, "B")), null);
});
