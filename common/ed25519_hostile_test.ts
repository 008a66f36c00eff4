import * as noble from "@noble/ed25519";
import assert from "node:assert/strict";
import { concatBytes, formatHex } from "./base64.ts";
import { type Bytes, encodeUtf8 } from "./canonical.ts";
import { isStrictPoint, verifyEd25519 } from "./ed25519.ts";
import { fromHex, fromLittleEndian, littleEndian, pickNumber, seededRandom } from "./testing/random.ts";

const { Point } = noble;
type Point = noble.Point;

/** Order of the base point. */
const L = Point.CURVE().n;
/** The field's prime. */
const P = Point.CURVE().p;
const BASE = Point.BASE;
/** A point of order 8: the one whose encoding begins with 26e8 and has no sign. */
const TORSION = Point.fromBytes(fromHex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"));

/** A multiple of a point; noble refuses the multiple 0 and scalars of L and above. */
function times(point: Point, scalar: bigint): Point {
  const reduced = scalar % L;
  return reduced === 0n ? Point.ZERO : point.multiply(reduced, false);
}

/** RFC 8032's k: SHA-512 of R, A and the message, modulo L. */
async function challenge({ r, a, message }: { r: Bytes; a: Bytes; message: Bytes }): Promise<bigint> {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-512", concatBytes(r, a, message)));
  return fromLittleEndian(hash) % L;
}

/** The 14 spellings of the 8 points of small order: y and p + y, each with either sign. */
function smallOrderEncodings(): readonly Bytes[] {
  const found = new Set<string>();
  for (let multiple = 0n; multiple < 8n; multiple += 1n) {
    const { y } = times(TORSION, multiple).toAffine();
    for (const spelled of [y, y + P]) {
      if (spelled >= 2n ** 255n) continue;
      // Only y = 1 and y = -1 have x = 0, where both signs are spellings of one point; the rest come in pairs anyway.
      found.add(formatHex(littleEndian(spelled)));
      found.add(formatHex(littleEndian(spelled + 2n ** 255n)));
    }
  }
  return [...found].map(fromHex);
}

interface Case {
  readonly key: Bytes;
  readonly message: Bytes;
  readonly signature: Bytes;
}

/**
 * A signature by the scalar `a` with the nonce `r`, for a key and an R that carry further points of small order, over
 * the first message for which the equation without cofactor comes out as `holds`.
 */
async function craft({ a = 0n, r = 0n, keyTorsion = 0n, nonceTorsion = 0n, keyBytes, nonceBytes, holds }: {
  a?: bigint;
  r?: bigint;
  keyTorsion?: bigint;
  nonceTorsion?: bigint;
  /** Another spelling of the key. */
  keyBytes?: Bytes;
  /** Another spelling of R. */
  nonceBytes?: Bytes;
  holds: boolean;
}): Promise<Case> {
  const key = keyBytes ?? new Uint8Array(times(BASE, a).add(times(TORSION, keyTorsion)).toBytes());
  const nonce = nonceBytes ?? new Uint8Array(times(BASE, r).add(times(TORSION, nonceTorsion)).toBytes());
  for (let count = 0; count < 1000; count += 1) {
    const message = encodeUtf8(`message ${count}`);
    const k = await challenge({ r: nonce, a: key, message });
    if (((nonceTorsion + k * keyTorsion) % 8n === 0n) !== holds) continue;
    return { key, message, signature: concatBytes(nonce, littleEndian((r + k * a) % L)) };
  }
  throw new Error("Cannot craft the signature: no message fits");
}

/** RFC 8032 section 5.1.7 without cofactor, over noble's points: slow, and nothing of ours in it. */
async function verifyByTheBook({ key, message, signature }: Case): Promise<boolean> {
  if (key.length !== 32 || signature.length !== 64) return false;
  const s = fromLittleEndian(signature.slice(32));
  if (s >= L) return false;
  try {
    const a = Point.fromBytes(key, false);
    const r = Point.fromBytes(signature.slice(0, 32), false);
    if (a.isSmallOrder() || r.isSmallOrder()) return false;
    const k = await challenge({ r: signature.slice(0, 32), a: key, message });
    return times(BASE, s).equals(r.add(times(a, k)));
  } catch {
    return false; // Not a point, or not in the one form.
  }
}

function verify({ key, message, signature }: Case): Promise<boolean> {
  return verifyEd25519(key, message, signature);
}

Deno.test("isStrictPoint() refuses all 14 spellings of the points of small order", () => {
  const encodings = smallOrderEncodings();
  assert.equal(encodings.length, 14);
  for (const encoding of encodings) assert.equal(isStrictPoint(encoding), false, formatHex(encoding));
});

Deno.test("verifyEd25519() refuses keys of small order though the equation holds", async (t) => {
  for (const encoding of smallOrderEncodings()) {
    await t.step(formatHex(encoding), async () => {
      const point = Point.fromBytes(encoding, true);
      const torsion = torsionOf(point);
      const made = await craft({ r: 12345n, keyTorsion: torsion, keyBytes: encoding, holds: true });
      assert.equal(await nobleAccepts(made), true, "not a hostile vector");
      assert.equal(await verify(made), false);
    });
  }
});

Deno.test("verifyEd25519() refuses an R of small order though the equation holds", async (t) => {
  for (const encoding of smallOrderEncodings()) {
    await t.step(formatHex(encoding), async () => {
      const nonceTorsion = torsionOf(Point.fromBytes(encoding, true));
      const made = await craft({ a: 777n, keyTorsion: 1n, nonceTorsion, nonceBytes: encoding, holds: true });
      assert.equal(await nobleAccepts(made), true, "not a hostile vector");
      assert.equal(await verify(made), false);
    });
  }
});

/** Which multiple of {@link TORSION} a point is. */
function torsionOf(point: Point): bigint {
  for (let multiple = 0n; multiple < 8n; multiple += 1n) {
    if (times(TORSION, multiple).equals(point)) return multiple;
  }
  throw new Error("Not a point of small order");
}

/** Whether the most permissive rules (ZIP 215) take it. */
function nobleAccepts({ key, message, signature }: Case): Promise<boolean> {
  return noble.verifyAsync(signature, message, key, { zip215: true });
}

const MIXED: readonly { what: string; keyTorsion: bigint; nonceTorsion: bigint; holds: boolean }[] = [
  { what: "a key of mixed order where the equation holds", keyTorsion: 1n, nonceTorsion: 0n, holds: true },
  { what: "a key of mixed order where only the cofactor saves it", keyTorsion: 1n, nonceTorsion: 0n, holds: false },
  { what: "a key and an R of mixed order that cancel out", keyTorsion: 3n, nonceTorsion: 5n, holds: true },
  { what: "a key and an R of mixed order that do not", keyTorsion: 3n, nonceTorsion: 5n, holds: false },
  { what: "an R of mixed order", keyTorsion: 0n, nonceTorsion: 4n, holds: false },
  { what: "a key of mixed order 2", keyTorsion: 4n, nonceTorsion: 0n, holds: true },
];

for (const { what, holds, ...torsion } of MIXED) {
  Deno.test(`verifyEd25519() ${holds ? "accepts" : "refuses"} ${what}`, async () => {
    const made = await craft({ a: 4242n, r: 31337n, ...torsion, holds });
    assert.equal(await nobleAccepts(made), true, "not a hostile vector");
    assert.equal(await verifyByTheBook(made), holds);
    assert.equal(await verify(made), holds);
  });
}

Deno.test("verifyEd25519() agrees with the equation by the book on 400 keys and Rs of mixed order", async () => {
  const random = seededRandom(25519);
  let accepted = 0;
  for (let count = 0; count < 400; count += 1) {
    const made = await craft({
      a: BigInt(1 + pickNumber(random, 1e9)),
      r: BigInt(1 + pickNumber(random, 1e9)),
      keyTorsion: BigInt(1 + 2 * pickNumber(random, 4)),
      nonceTorsion: BigInt(pickNumber(random, 8)),
      holds: random() < 0.5,
    });
    const expected = await verifyByTheBook(made);
    assert.equal(await verify(made), expected);
    if (expected) accepted += 1;
  }
  assert.ok(accepted > 100 && accepted < 300, `${accepted}`);
});
