import * as noble from "@noble/ed25519";
import assert from "node:assert/strict";
import { concatBytes, formatHex } from "./base64.ts";
import { type Bytes, encodeUtf8 } from "./canonical.ts";
import { isStrictPoint, verifyEd25519 } from "./ed25519.ts";
import { signerFromPkcs8 } from "./key.ts";
import { PKCS8_PREFIX } from "./testing/documents.ts";
import {
  flipBit,
  fromHex,
  fromLittleEndian,
  littleEndian,
  pickNumber,
  pickOne,
  randomBytes,
  seededRandom,
} from "./testing/random.ts";

/** RFC 8032 section 7.1. */
const RFC_8032: readonly { name: string; secret: string; key: string; message: string; signature: string }[] = [
  {
    name: "TEST 1",
    secret: "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
    key: "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
    message: "",
    signature: "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155" +
      "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
  },
  {
    name: "TEST 2",
    secret: "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
    key: "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
    message: "72",
    signature: "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da" +
      "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
  },
  {
    name: "TEST 3",
    secret: "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
    key: "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
    message: "af82",
    signature: "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac" +
      "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
  },
  {
    name: "TEST 1024",
    secret: "f5e5767cf153319517630f226876b86c8160cc583bc013744c6bf255f5cc0ee5",
    key: "278117fc144c72340f67d0f2316e8386ceffbf2b2428c9c51fef7c597f1d426e",
    message: "08b8b2b733424243760fe426a4b54908632110a66c2f6591eabd3345e3e4eb98fa6e264bf09efe12ee50f8f54e9f77b1e355" +
      "f6c50544e23fb1433ddf73be84d879de7c0046dc4996d9e773f4bc9efe5738829adb26c81b37c93a1b270b20329d658675fc" +
      "6ea534e0810a4432826bf58c941efb65d57a338bbd2e26640f89ffbc1a858efcb8550ee3a5e1998bd177e93a7363c344fe6b" +
      "199ee5d02e82d522c4feba15452f80288a821a579116ec6dad2b3b310da903401aa62100ab5d1a36553e06203b33890cc9b8" +
      "32f79ef80560ccb9a39ce767967ed628c6ad573cb116dbefefd75499da96bd68a8a97b928a8bbc103b6621fcde2beca1231d" +
      "206be6cd9ec7aff6f6c94fcd7204ed3455c68c83f4a41da4af2b74ef5c53f1d8ac70bdcb7ed185ce81bd84359d44254d9562" +
      "9e9855a94a7c1958d1f8ada5d0532ed8a5aa3fb2d17ba70eb6248e594e1a2297acbbb39d502f1a8c6eb6f1ce22b3de1a1f40" +
      "cc24554119a831a9aad6079cad88425de6bde1a9187ebb6092cf67bf2b13fd65f27088d78b7e883c8759d2c4f5c65adb7553" +
      "878ad575f9fad878e80a0c9ba63bcbcc2732e69485bbc9c90bfbd62481d9089beccf80cfe2df16a2cf65bd92dd597b0707e0" +
      "917af48bbb75fed413d238f5555a7a569d80c3414a8d0859dc65a46128bab27af87a71314f318c782b23ebfe808b82b0ce26" +
      "401d2e22f04d83d1255dc51addd3b75a2b1ae0784504df543af8969be3ea7082ff7fc9888c144da2af58429ec96031dbcad3" +
      "dad9af0dcbaaaf268cb8fcffead94f3c7ca495e056a9b47acdb751fb73e666c6c655ade8297297d07ad1ba5e43f1bca32301" +
      "651339e22904cc8c42f58c30c04aafdb038dda0847dd988dcda6f3bfd15c4b4c4525004aa06eeff8ca61783aacec57fb3d1f" +
      "92b0fe2fd1a85f6724517b65e614ad6808d6f6ee34dff7310fdc82aebfd904b01e1dc54b2927094b2db68d6f903b68401ade" +
      "bf5a7e08d78ff4ef5d63653a65040cf9bfd4aca7984a74d37145986780fc0b16ac451649de6188a7dbdf191f64b5fc5e2ab4" +
      "7b57f7f7276cd419c17a3ca8e1b939ae49e488acba6b965610b5480109c8b17b80e1b7b750dfc7598d5d5011fd2dcc5600a3" +
      "2ef5b52a1ecc820e308aa342721aac0943bf6686b64b2579376504ccc493d97e6aed3fb0f9cd71a43dd497f01f17c0e2cb37" +
      "97aa2a2f256656168e6c496afc5fb93246f6b1116398a346f1a641f3b041e989f7914f90cc2c7fff357876e506b50d334ba7" +
      "7c225bc307ba537152f3f1610e4eafe595f6d9d90d11faa933a15ef1369546868a7f3a45a96768d40fd9d03412c091c6315c" +
      "f4fde7cb68606937380db2eaaa707b4c4185c32eddcdd306705e4dc1ffc872eeee475a64dfac86aba41c0618983f8741c5ef" +
      "68d3a101e8a3b8cac60c905c15fc910840b94c00a0b9d0",
    signature: "0aab4c900501b3e24d7cdf4663326a3a87df5e4843b2cbdb67cbf6e460fec350" +
      "aa5371b1508f9f4528ecea23c436d94b5e8fcd4f681e30a6ac00a9704a188a03",
  },
  {
    name: "TEST SHA(abc)",
    secret: "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
    key: "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
    message: "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a" +
      "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
    signature: "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b589" +
      "09351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
  },
];

/** Order of the base point. */
const L = 2n ** 252n + 27742317777372353535851937790883648493n;
/** The field's prime. */
const P = 2n ** 255n - 19n;
interface Case {
  readonly key: Bytes;
  readonly message: Bytes;
  readonly signature: Bytes;
}

function verify({ key, message, signature }: Case): Promise<boolean> {
  return verifyEd25519(key, message, signature);
}

async function signWith(secret: Bytes, message: Bytes): Promise<Case> {
  const signer = await signerFromPkcs8(concatBytes(PKCS8_PREFIX, secret));
  return { key: signer.publicKey.bytes, message, signature: await signer.sign(message) };
}

for (const { name, secret, key, message, signature } of RFC_8032) {
  Deno.test(`verifyEd25519() and signers agree with RFC 8032 section 7.1 ${name}`, async () => {
    const made = await signWith(fromHex(secret), fromHex(message));
    assert.deepEqual(made, { key: fromHex(key), message: fromHex(message), signature: fromHex(signature) });
    assert.equal(await verify(made), true);
  });
}

Deno.test("isStrictPoint() refuses every y from p to 2^255 - 1 and accepts the one below", () => {
  for (const sign of [0n, 2n ** 255n]) {
    for (let y = P; y < 2n ** 255n; y += 1n) {
      assert.equal(isStrictPoint(littleEndian(y + sign)), false, `p + ${y - P}`);
    }
    // p - 1 is the point of order 2; p - 2 is the highest y that may stand.
    assert.equal(isStrictPoint(littleEndian(P - 1n + sign)), false);
    assert.equal(isStrictPoint(littleEndian(P - 2n + sign)), true);
    assert.equal(isStrictPoint(littleEndian(2n + sign)), true);
  }
});

Deno.test("isStrictPoint() accepts every y that is like p but for one byte that makes it less", () => {
  const p = littleEndian(P + 5n);
  for (let at = 1; at < 31; at += 1) {
    assert.equal(isStrictPoint(p.with(at, 0xfe)), true, `byte ${at}`);
    assert.equal(isStrictPoint(p.with(at, 0x00)), true, `byte ${at}`);
  }
  assert.equal(isStrictPoint(p.with(31, 0x7e)), true);
  assert.equal(isStrictPoint(p.with(31, 0xfe)), true);
  assert.equal(isStrictPoint(p.with(31, 0xff)), false);
});

Deno.test("isStrictPoint() refuses other lengths than 32 bytes", () => {
  for (const length of [0, 1, 31, 33, 64]) assert.equal(isStrictPoint(new Uint8Array(length).fill(9)), false);
});

Deno.test("verifyEd25519() refuses S + nL, which other verifiers reduce", async () => {
  const { key, message, signature } = await signWith(new Uint8Array(32).fill(1), encodeUtf8("malleable"));
  const s = fromLittleEndian(signature.slice(32));
  let refused = 0;
  for (let other = s + L; other < 2n ** 256n; other += L) {
    const forged = concatBytes(signature.slice(0, 32), littleEndian(other));
    assert.equal(await verifyEd25519(key, message, forged), false);
    refused += 1;
  }
  assert.ok(refused >= 14);
});

Deno.test("verifyEd25519() refuses S of L and just above, and all bits set", async () => {
  const { key, message, signature } = await signWith(new Uint8Array(32).fill(2), encodeUtf8("x"));
  for (const s of [0n, L, L + 1n, 2n ** 253n, 2n ** 255n, 2n ** 256n - 1n]) {
    const forged = concatBytes(signature.slice(0, 32), littleEndian(s));
    assert.equal(await verifyEd25519(key, message, forged), false);
  }
});

Deno.test("verifyEd25519() refuses zero keys and zero signatures", async () => {
  const { key, message, signature } = await signWith(new Uint8Array(32).fill(3), new Uint8Array());
  const zeros = new Uint8Array(64);
  assert.equal(await verifyEd25519(key, message, zeros), false);
  assert.equal(await verifyEd25519(zeros.slice(32), message, signature), false);
  assert.equal(await verifyEd25519(zeros.slice(32), message, zeros), false);
});

Deno.test("verifyEd25519() answers false to other lengths of key and signature", async () => {
  const { key, message, signature } = await signWith(new Uint8Array(32).fill(4), encodeUtf8("x"));
  for (const length of [0, 1, 31, 33, 64]) {
    const other = new Uint8Array(length);
    other.set(key.slice(0, length));
    assert.equal(await verifyEd25519(other, message, signature), false, `key of ${length}`);
  }
  for (const length of [0, 32, 63, 65, 128]) {
    const other = new Uint8Array(length);
    other.set(signature.slice(0, length));
    assert.equal(await verifyEd25519(key, message, other), false, `signature of ${length}`);
  }
});

Deno.test("verifyEd25519() answers false to 32 bytes that are no point of the curve", async () => {
  const { message, signature } = await signWith(new Uint8Array(32).fill(5), encodeUtf8("x"));
  let notPoints = 0;
  for (let y = 2n; y < 40n; y += 1n) {
    const bytes = littleEndian(y);
    try {
      noble.Point.fromBytes(bytes);
    } catch {
      notPoints += 1;
      assert.equal(await verifyEd25519(bytes, message, signature), false);
    }
  }
  assert.ok(notPoints > 10);
});

Deno.test("verifyEd25519() refuses every signature, key and message with one bit turned over", async () => {
  const made = await signWith(new Uint8Array(32).fill(6), encodeUtf8("every bit counts"));
  assert.equal(await verify(made), true);
  let accepted = 0;
  for (const part of ["signature", "key", "message"] as const) {
    for (let bit = 0; bit < made[part].length * 8; bit += 1) {
      if (await verify({ ...made, [part]: flipBit(made[part], bit) })) accepted += 1;
    }
  }
  assert.equal(accepted, 0);
});

Deno.test("verifyEd25519() agrees with a second implementation on 2,000 cases of chance", async () => {
  const random = seededRandom(8032);
  const counts = { accepted: 0, refused: 0 };
  for (let count = 0; count < 2000; count += 1) {
    const { key, message, signature } = await randomCase(random);
    const expected = await noble.verifyAsync(signature, message, key, { zip215: false }) &&
      isStrictPoint(key) && isStrictPoint(signature.slice(0, 32));
    assert.equal(await verifyEd25519(key, message, signature), expected, formatHex(concatBytes(key, signature)));
    counts[expected ? "accepted" : "refused"] += 1;
  }
  // The cases must be neither all good nor all bad to tell anything.
  assert.ok(counts.accepted > 700 && counts.refused > 700, JSON.stringify(counts));
});

/** A good signature, and in half the cases something done to it; keys are of the prime-order subgroup. */
async function randomCase(random: () => number): Promise<Case> {
  const good = await signWith(randomBytes(random, 32), randomBytes(random, pickNumber(random, 200)));
  const bit = (bytes: Bytes): Bytes =>
    bytes.length === 0 ? Uint8Array.of(1) : flipBit(bytes, pickNumber(random, bytes.length * 8));
  const other = (): Bytes => littleEndian(fromLittleEndian(randomBytes(random, 32)) % L);
  return pickOne<() => Case>(random, [
    () => good,
    () => good,
    () => good,
    () => good,
    () => ({ ...good, message: bit(good.message) }),
    () => ({ ...good, signature: bit(good.signature) }),
    () => ({ ...good, signature: concatBytes(good.signature.slice(0, 32), other()) }),
    () => ({
      ...good,
      signature: concatBytes(littleEndian(pickOne(random, [0n, 1n, P - 1n, P, P + 1n])), good.signature.slice(32)),
    }),
  ])();
}
