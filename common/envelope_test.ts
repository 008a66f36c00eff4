import assert from "node:assert/strict";
import { formatBase64 } from "./base64.ts";
import { type Bytes, encodeUtf8 } from "./canonical.ts";
import {
  type DocumentKind,
  type Envelope,
  ENVELOPE_MAX_BYTES,
  formatEnvelope,
  type KeyPolicy,
  parseEnvelope,
  PAYLOAD_TYPES,
  preAuthEncoding,
  SIGNATURES_MAX,
  signEnvelope,
  signersOf,
  verifyEnvelope,
} from "./envelope.ts";
import { type ErrorCode, OtaError } from "./errors.ts";
import { fingerprintOf, type Signer } from "./key.ts";
import { envelopeBytes, testSigner } from "./testing/documents.ts";

const HELLO = encodeUtf8("hello world");
const [ALICE, BOB, CAROL, MALLORY] = await Promise.all([1, 2, 3, 66].map((seed) => testSigner(seed))) as [
  Signer,
  Signer,
  Signer,
  Signer,
];

function refusedWith(code: ErrorCode, message?: RegExp): (error: unknown) => boolean {
  return (error) => error instanceof OtaError && error.code === code && (message?.test(error.message) ?? true);
}

function policy(threshold: number, ...signers: readonly Signer[]): KeyPolicy {
  return { keys: signers.map(({ publicKey }) => publicKey), threshold };
}

Deno.test("preAuthEncoding() is DSSE's example", () => {
  const encoded = preAuthEncoding("http://example.com/HelloWorld", HELLO);
  assert.deepEqual(encoded, encodeUtf8("DSSEv1 29 http://example.com/HelloWorld 11 hello world"));
});

Deno.test("preAuthEncoding() counts bytes, and no type and payload share an encoding with others", () => {
  assert.deepEqual(preAuthEncoding("é", encodeUtf8("ü")), encodeUtf8("DSSEv1 2 é 2 ü"));
  assert.deepEqual(preAuthEncoding("", new Uint8Array()), encodeUtf8("DSSEv1 0  0 "));
  assert.notDeepEqual(preAuthEncoding("a b", encodeUtf8("c")), preAuthEncoding("a", encodeUtf8("b c")));
  assert.notDeepEqual(preAuthEncoding("a", encodeUtf8("1 b")), preAuthEncoding("a 3", encodeUtf8("b")));
});

Deno.test("PAYLOAD_TYPES are one type for each kind of document", () => {
  const types = Object.values(PAYLOAD_TYPES);
  assert.equal(new Set(types).size, types.length);
  for (const [kind, type] of Object.entries(PAYLOAD_TYPES)) {
    assert.equal(type, `application/vnd.nix-ota.${kind}.v1+json`);
  }
});

Deno.test("parseEnvelope() reads back what signEnvelope() made", async () => {
  const envelope = await signEnvelope("release", HELLO, [ALICE, BOB]);
  assert.deepEqual(parseEnvelope(envelopeBytes(envelope)), envelope);
  assert.equal(envelope.signatures[0]?.keyid, await fingerprintOf(ALICE.publicKey));
  const text =
    '{"payloadType":"application/vnd.nix-ota.release.v1+json","payload":"aGVsbG8gd29ybGQ=","signatures":[{"keyid":"SHA256:';
  assert.ok(formatEnvelope(envelope).startsWith(text));
});

Deno.test("signEnvelope() refuses to make what nobody could read", async () => {
  const seventeen = Array.from({ length: SIGNATURES_MAX + 1 }, () => ALICE);
  await assert.rejects(() => signEnvelope("release", HELLO, []), RangeError);
  await assert.rejects(() => signEnvelope("release", HELLO, seventeen), RangeError);
  parseEnvelope(envelopeBytes(await signEnvelope("release", HELLO, seventeen.slice(1))));
});

const SIG = formatBase64(new Uint8Array(64).fill(7));
const SIGNATURE = { keyid: "SHA256:x", sig: SIG };
const GOOD = { payloadType: "application/x", payload: "aGVsbG8=", signatures: [SIGNATURE] };

const ENVELOPES: readonly [what: string, value: unknown, code: ErrorCode | null][] = [
  ["the least it may be", GOOD, null],
  ["an empty payload", { ...GOOD, payload: "" }, null],
  ["an empty keyid", { ...GOOD, signatures: [{ keyid: "", sig: SIG }] }, null],
  ["a keyid of 128", { ...GOOD, signatures: [{ keyid: "x".repeat(128), sig: SIG }] }, null],
  ["a payload type of 128", { ...GOOD, payloadType: "x".repeat(128) }, null],
  ["16 signatures", { ...GOOD, signatures: Array(16).fill(SIGNATURE) }, null],
  ["17 signatures", { ...GOOD, signatures: Array(17).fill(SIGNATURE) }, "envelope_invalid"],
  ["5,000 signatures", { ...GOOD, signatures: Array(5000).fill(SIGNATURE) }, "envelope_invalid"],
  ["no signature", { ...GOOD, signatures: [] }, "envelope_invalid"],
  ["signatures that are no list", { ...GOOD, signatures: SIGNATURE }, "envelope_invalid"],
  ["signatures that are null", { ...GOOD, signatures: null }, "envelope_invalid"],
  ["a signature that is text", { ...GOOD, signatures: [SIG] }, "envelope_invalid"],
  ["a signature that is null", { ...GOOD, signatures: [null] }, "envelope_invalid"],
  ["a signature without a keyid", { ...GOOD, signatures: [{ sig: SIG }] }, "envelope_invalid"],
  ["a signature without sig", { ...GOOD, signatures: [{ keyid: "" }] }, "envelope_invalid"],
  ["a signature with more keys", { ...GOOD, signatures: [{ ...SIGNATURE, cert: "" }] }, "envelope_invalid"],
  ["a signature the other way round", { ...GOOD, signatures: [{ sig: SIG, keyid: "" }] }, "envelope_invalid"],
  ["a keyid of 129", { ...GOOD, signatures: [{ keyid: "x".repeat(129), sig: SIG }] }, "envelope_invalid"],
  ["a keyid outside ASCII", { ...GOOD, signatures: [{ keyid: "ü", sig: SIG }] }, "envelope_invalid"],
  ["a keyid with a line end", { ...GOOD, signatures: [{ keyid: "a\n", sig: SIG }] }, "envelope_invalid"],
  ["a keyid that is null", { ...GOOD, signatures: [{ keyid: null, sig: SIG }] }, "envelope_invalid"],
  ["no payload type", { payload: "", signatures: [SIGNATURE] }, "envelope_invalid"],
  ["no payload", { payloadType: "x", signatures: [SIGNATURE] }, "envelope_invalid"],
  ["no signatures", { payloadType: "x", payload: "" }, "envelope_invalid"],
  ["one more key", { ...GOOD, more: 1 }, "envelope_invalid"],
  ["a __proto__ key", JSON.parse(`{"__proto__":1,${JSON.stringify(GOOD).slice(1)}`), "envelope_invalid"],
  ["keys in another order", { payload: "", payloadType: "x", signatures: [SIGNATURE] }, "envelope_invalid"],
  ["an empty payload type", { ...GOOD, payloadType: "" }, "envelope_invalid"],
  ["a payload type of 129", { ...GOOD, payloadType: "x".repeat(129) }, "envelope_invalid"],
  ["a payload type with a blank", { ...GOOD, payloadType: "a b" }, "envelope_invalid"],
  ["a payload type outside ASCII", { ...GOOD, payloadType: "ä" }, "envelope_invalid"],
  ["a payload type that is a number", { ...GOOD, payloadType: 1 }, "envelope_invalid"],
  ["a payload that is an object", { ...GOOD, payload: {} }, "envelope_invalid"],
  ["a payload that is null", { ...GOOD, payload: null }, "envelope_invalid"],
  ["a list", [GOOD], "envelope_invalid"],
  ["text", "x", "envelope_invalid"],
  ["a number", 1, "envelope_invalid"],
  ["null", null, "envelope_invalid"],
  ["an empty object", {}, "envelope_invalid"],
  ["a payload without padding", { ...GOOD, payload: "aGVsbG8" }, "base64_invalid"],
  ["a URL-safe payload", { ...GOOD, payload: "-_8=" }, "base64_invalid"],
  ["a payload with loose bits", { ...GOOD, payload: "aGVsbG9=" }, "base64_invalid"],
  ["a payload with a line end", { ...GOOD, payload: "aGVs\nbG8=" }, "base64_invalid"],
  ["a payload that is no base64", { ...GOOD, payload: "{}" }, "base64_invalid"],
  ["a signature that is no base64", { ...GOOD, signatures: [{ keyid: "", sig: "!" }] }, "base64_invalid"],
  ["an empty signature", { ...GOOD, signatures: [{ keyid: "", sig: "" }] }, "base64_invalid"],
  ["a signature of 63 bytes", { ...GOOD, signatures: [{ keyid: "", sig: sized(63) }] }, "base64_invalid"],
  ["a signature of 65 bytes", { ...GOOD, signatures: [{ keyid: "", sig: sized(65) }] }, "base64_invalid"],
  [
    "a second signature of 65 bytes",
    { ...GOOD, signatures: [SIGNATURE, { keyid: "", sig: sized(65) }] },
    "base64_invalid",
  ],
];

function sized(bytes: number): string {
  return formatBase64(new Uint8Array(bytes));
}

for (const [what, value, code] of ENVELOPES) {
  Deno.test(`parseEnvelope() ${code === null ? "reads" : "refuses"} ${what}`, () => {
    const bytes = encodeUtf8(JSON.stringify(value));
    if (code === null) parseEnvelope(bytes);
    else assert.throws(() => parseEnvelope(bytes), refusedWith(code, /^Cannot read the envelope/));
  });
}

const TEXTS: readonly [what: string, bytes: Bytes, code: ErrorCode][] = [
  ["nothing", new Uint8Array(), "json_not_canonical"],
  ["a line end after it", encodeUtf8(`${JSON.stringify(GOOD)}\n`), "json_not_canonical"],
  ["a byte-order mark before it", encodeUtf8(`\ufeff${JSON.stringify(GOOD)}`), "json_not_canonical"],
  ["blanks", encodeUtf8(JSON.stringify(GOOD, null, 2)), "json_not_canonical"],
  [
    "a second payload",
    encodeUtf8(JSON.stringify(GOOD).replace('"signatures"', '"payload":"","signatures"')),
    "json_not_canonical",
  ],
  ["bytes that are no UTF-8", Uint8Array.of(0xff), "encoding_invalid"],
  ["HTML", encodeUtf8("<!doctype html><title>502 Bad Gateway</title>"), "json_not_canonical"],
  ["a depth of 200,000", encodeUtf8("[".repeat(200_000)), "json_not_canonical"],
];

for (const [what, bytes, code] of TEXTS) {
  Deno.test(`parseEnvelope() refuses ${what}`, () => assert.throws(() => parseEnvelope(bytes), refusedWith(code)));
}

Deno.test("parseEnvelope() reads 1 MiB and not a byte more", () => {
  const frame = formatEnvelope(parseEnvelope(encodeUtf8(JSON.stringify({ ...GOOD, payload: "" })))).length;
  const room = ENVELOPE_MAX_BYTES - frame;
  const payload = "AAAA".repeat(Math.floor(room / 4));
  const keyid = "SHA256:x".padEnd(8 + room % 4, "x");
  const fits = encodeUtf8(JSON.stringify({ ...GOOD, payload, signatures: [{ keyid, sig: SIG }] }));
  assert.equal(fits.length, ENVELOPE_MAX_BYTES);
  assert.equal(parseEnvelope(fits).payload.length, payload.length * 3 / 4);
  const over = encodeUtf8(JSON.stringify({ ...GOOD, payload, signatures: [{ keyid: `${keyid}x`, sig: SIG }] }));
  assert.throws(() => parseEnvelope(over), refusedWith("envelope_too_large", /1048577 bytes: wanted at most 1048576/));
  assert.throws(() => parseEnvelope(new Uint8Array(64 * 1024 * 1024)), refusedWith("envelope_too_large"));
});

/** Who signs, in order; what the policy is; whether it is enough. */
const THRESHOLDS: readonly [what: string, signers: readonly Signer[], policy: KeyPolicy, good: boolean][] = [
  ["1 of 1", [ALICE], policy(1, ALICE), true],
  ["1 of 1 by another", [MALLORY], policy(1, ALICE), false],
  ["1 of 2 by the first", [ALICE], policy(1, ALICE, BOB), true],
  ["1 of 2 by the second", [BOB], policy(1, ALICE, BOB), true],
  ["2 of 2", [ALICE, BOB], policy(2, ALICE, BOB), true],
  ["2 of 2 in another order", [BOB, ALICE], policy(2, ALICE, BOB), true],
  ["2 of 2 by one", [ALICE], policy(2, ALICE, BOB), false],
  ["2 of 2 by one who signs twice", [ALICE, ALICE], policy(2, ALICE, BOB), false],
  ["2 of 2 by one who signs 16 times", Array<Signer>(16).fill(ALICE), policy(2, ALICE, BOB), false],
  ["2 of 2 by one and a stranger", [ALICE, MALLORY], policy(2, ALICE, BOB), false],
  ["2 of 3", [CAROL, ALICE], policy(2, ALICE, BOB, CAROL), true],
  ["2 of 3 among strangers", [MALLORY, MALLORY, BOB, MALLORY, CAROL], policy(2, ALICE, BOB, CAROL), true],
  ["3 of 3 by two", [ALICE, BOB, BOB], policy(3, ALICE, BOB, CAROL), false],
  ["2 of a key that is listed twice, and another", [ALICE], policy(2, ALICE, ALICE, BOB), false],
];

for (const [what, signers, keys, good] of THRESHOLDS) {
  Deno.test(`verifyEnvelope() ${good ? "accepts" : "refuses"} ${what}`, async () => {
    const envelope = await signEnvelope("release", HELLO, signers);
    const verified = verifyEnvelope(envelope, "release", keys);
    if (good) await verified;
    else await assert.rejects(() => verified, refusedWith("signatures_insufficient", /\d of \d needed signatures/));
  });
}

const BROKEN_POLICIES: readonly [what: string, policy: KeyPolicy][] = [
  ["0", policy(0, ALICE)],
  ["-1", policy(-1, ALICE)],
  ["NaN", policy(NaN, ALICE)],
  ["1.5", policy(1.5, ALICE, BOB)],
  ["Infinity", policy(Infinity, ALICE)],
  ["2 with one key", policy(2, ALICE)],
  ["2 with one key that is listed twice", policy(2, ALICE, ALICE)],
  ["1 without keys", policy(1)],
  ["text", { keys: [ALICE.publicKey], threshold: "1" as unknown as number }],
];

for (const [what, broken] of BROKEN_POLICIES) {
  Deno.test(`verifyEnvelope() throws at a policy whose threshold is ${what}`, async () => {
    const envelope = await signEnvelope("release", HELLO, [ALICE, BOB]);
    await assert.rejects(() => verifyEnvelope(envelope, "release", broken), {
      name: "RangeError",
      message: /threshold/,
    });
  });
}

Deno.test("verifyEnvelope() lets no signature serve two kinds of document", async () => {
  const kinds = Object.keys(PAYLOAD_TYPES) as DocumentKind[];
  for (const signed of kinds) {
    const envelope = await signEnvelope(signed, HELLO, [ALICE]);
    for (const wanted of kinds) {
      const checked = () => verifyEnvelope(envelope, wanted, policy(1, ALICE));
      const swapped = () =>
        verifyEnvelope({ ...envelope, payloadType: PAYLOAD_TYPES[wanted] }, wanted, policy(1, ALICE));
      if (signed === wanted) {
        await checked();
        continue;
      }
      await assert.rejects(checked, refusedWith("payload_type_unexpected"));
      await assert.rejects(swapped, refusedWith("signatures_insufficient"));
    }
  }
});

Deno.test("verifyEnvelope() ignores keyids", async () => {
  const envelope = await signEnvelope("release", HELLO, [ALICE, MALLORY]);
  const [first, second] = envelope.signatures.map(({ keyid }) => keyid);
  const swap = (one: string, other: string): Envelope => ({
    ...envelope,
    signatures: envelope.signatures.map(({ sig }, at) => ({ keyid: at === 0 ? one : other, sig })),
  });
  for (const keyids of [[second, first], ["", ""], ["x", "x"]]) {
    await verifyEnvelope(swap(keyids[0] ?? "", keyids[1] ?? ""), "release", policy(1, ALICE));
  }
  // A stranger who signs under the name of a trusted key is still a stranger.
  const forged = await signEnvelope("release", HELLO, [MALLORY]);
  const named = { ...forged, signatures: forged.signatures.map(({ sig }) => ({ keyid: first ?? "", sig })) };
  await assert.rejects(
    () => verifyEnvelope(named, "release", policy(1, ALICE)),
    refusedWith("signatures_insufficient"),
  );
});

Deno.test("signersOf() names each trusted key once, in the order of the policy", async () => {
  const envelope = await signEnvelope("checkin", HELLO, [CAROL, ALICE, ALICE, MALLORY]);
  const keys = [ALICE, ALICE, BOB, CAROL].map(({ publicKey }) => publicKey);
  assert.deepEqual(await signersOf(envelope, keys), [ALICE.publicKey, CAROL.publicKey]);
  assert.deepEqual(await signersOf(envelope, []), []);
});
