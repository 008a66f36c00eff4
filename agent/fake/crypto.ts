/**
 * Cryptography that answers within the microtask queue, for tests that need the same order of events every time: the
 * runtime's own answers from a thread pool, whenever it likes. Hashes are real; signatures are checked once for real.
 * @module
 */
import { type Bytes, formatHex } from "@nix-ota/common";

const K = Uint32Array.from(
  ("428a2f98 71374491 b5c0fbcf e9b5dba5 3956c25b 59f111f1 923f82a4 ab1c5ed5 d807aa98 12835b01 243185be 550c7dc3 " +
    "72be5d74 80deb1fe 9bdc06a7 c19bf174 e49b69c1 efbe4786 0fc19dc6 240ca1cc 2de92c6f 4a7484aa 5cb0a9dc 76f988da " +
    "983e5152 a831c66d b00327c8 bf597fc7 c6e00bf3 d5a79147 06ca6351 14292967 27b70a85 2e1b2138 4d2c6dfc 53380d13 " +
    "650a7354 766a0abb 81c2c92e 92722c85 a2bfe8a1 a81a664b c24b8b70 c76c51a3 d192e819 d6990624 f40e3585 106aa070 " +
    "19a4c116 1e376c08 2748774c 34b0bcb5 391c0cb3 4ed8aa4a 5b9cca4f 682e6ff3 748f82ee 78a5636f 84c87814 8cc70208 " +
    "90befffa a4506ceb bef9a3f7 c67178f2").split(" "),
  (hex) => parseInt(hex, 16),
);

/** SHA-256 (FIPS 180-4), on the spot. */
export function sha256Now(message: Bytes): Bytes {
  const state = Uint32Array.of(
    0x6a09e667,
    0xbb67ae85,
    0x3c6ef372,
    0xa54ff53a,
    0x510e527f,
    0x9b05688c,
    0x1f83d9ab,
    0x5be0cd19,
  );
  const padded = new Uint8Array(Math.ceil((message.length + 9) / 64) * 64);
  padded.set(message);
  padded[message.length] = 0x80;
  const view = new DataView(padded.buffer);
  view.setUint32(padded.length - 8, Math.floor(message.length / 2 ** 29));
  view.setUint32(padded.length - 4, (message.length << 3) >>> 0);
  const words = new Uint32Array(64);
  for (let at = 0; at < padded.length; at += 64) block(state, words, view, at);
  const out = new DataView(new ArrayBuffer(32));
  state.forEach((word, index) => out.setUint32(index * 4, word));
  return new Uint8Array(out.buffer);
}

const rotate = (x: number, n: number): number => (x >>> n) | (x << (32 - n));

function block(state: Uint32Array, w: Uint32Array, view: DataView, at: number): void {
  const word = (index: number): number => w[index] ?? 0;
  for (let i = 0; i < 16; i++) w[i] = view.getUint32(at + i * 4);
  for (let i = 16; i < 64; i++) {
    const [a, b] = [word(i - 15), word(i - 2)];
    const s0 = rotate(a, 7) ^ rotate(a, 18) ^ (a >>> 3);
    const s1 = rotate(b, 17) ^ rotate(b, 19) ^ (b >>> 10);
    w[i] = word(i - 16) + s0 + word(i - 7) + s1;
  }
  let [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = state;
  for (let i = 0; i < 64; i++) {
    const s1: number = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25);
    const t1 = (h + s1 + ((e & f) ^ (~e & g)) + (K[i] ?? 0) + word(i)) | 0;
    const s0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22);
    const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    h = g;
    g = f;
    f = e;
    e = (d + t1) | 0;
    d = c;
    c = b;
    b = a;
    a = (t1 + t2) | 0;
  }
  [a, b, c, d, e, f, g, h].forEach((value, index) => state[index] = (state[index] ?? 0) + value);
}

/** Puts instant cryptography in the place of the runtime's until disposed. */
export function useInstantCrypto(): Disposable {
  const { subtle } = crypto;
  const real = {
    digest: subtle.digest.bind(subtle),
    importKey: subtle.importKey.bind(subtle),
    verify: subtle.verify.bind(subtle),
  };
  const keys = new Map<string, Promise<CryptoKey>>();
  const answers = new Map<string, Promise<boolean>>();
  const names = new WeakMap<CryptoKey, string>();

  const digest = (algorithm: AlgorithmIdentifier, data: BufferSource): Promise<ArrayBuffer> => {
    if (algorithm !== "SHA-256") return real.digest(algorithm, data);
    return Promise.resolve(sha256Now(new Uint8Array(bytesOf(data))).buffer);
  };
  const importKey = (...args: unknown[]): Promise<CryptoKey> => {
    const [format, data] = args;
    const name = `${String(format)} ${formatHex(new Uint8Array(bytesOf(data as BufferSource)))}`;
    const key = keys.get(name) ?? (real.importKey as (...args: unknown[]) => Promise<CryptoKey>)(...args);
    keys.set(name, key);
    void key.then((one) => names.set(one, name), () => {});
    return key;
  };
  const verify = (
    algorithm: AlgorithmIdentifier,
    key: CryptoKey,
    signature: BufferSource,
    data: BufferSource,
  ): Promise<boolean> => {
    const [sig, hash] = [new Uint8Array(bytesOf(signature)), sha256Now(new Uint8Array(bytesOf(data)))];
    const question = `${names.get(key)} ${formatHex(sig)} ${formatHex(hash)}`;
    const answer = answers.get(question) ?? real.verify(algorithm, key, signature, data);
    answers.set(question, answer);
    return answer;
  };
  Object.assign(subtle, { digest, importKey, verify });
  return {
    [Symbol.dispose]() {
      // The runtime's own are on the prototype.
      for (const name of ["digest", "importKey", "verify"] as const) Reflect.deleteProperty(subtle, name);
    },
  };
}

function bytesOf(data: BufferSource): ArrayBuffer {
  if (data instanceof ArrayBuffer) return data;
  return data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength) as ArrayBuffer;
}
