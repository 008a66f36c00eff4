/**
 * Secrets that requests carry: made, read from files, compared.
 * @module
 */
import { Buffer } from "node:buffer";
import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import { crc32 } from "node:zlib";

const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/** 43 characters of 62 kinds are 256 bits. */
const SECRET_LENGTH = 43;
const ID_LENGTH = 12;
const CHECKSUM_LENGTH = 6;
/** Shorter tokens can be guessed. */
const TOKEN_MIN = 20;
const TOKEN_MAX = 256;
/** Most tokens in one file. */
const TOKENS_MAX = 10_000;
const OWN_TOKEN = /^nota_([a-z])_([0-9A-Za-z]{12})_([0-9A-Za-z]{43})_([0-9A-Za-z]{6})$/;

/** A token as it is kept: enough to know it again, not to use it. */
export interface TokenHash {
  /** The part that may be shown, such as in an event. */
  readonly id: string;
  readonly hash: Buffer;
}

function randomText(length: number): string {
  let out = "";
  while (out.length < length) {
    for (const byte of crypto.getRandomValues(new Uint8Array(length))) {
      // 248 is the highest multiple of 62 in a byte: above it some characters would come up more often.
      if (byte < 248 && out.length < length) out += ALPHABET[byte % 62];
    }
  }
  return out;
}

function checksum(text: string): string {
  let rest = crc32(text);
  let out = "";
  while (out.length < CHECKSUM_LENGTH) {
    out = ALPHABET[rest % 62] + out;
    rest = Math.floor(rest / 62);
  }
  return out;
}

/** Makes a token of 256 random bits: `nota_<kind>_<id>_<secret>_<checksum>`. Prefix and checksum let scanners find leaks. */
export function makeToken(kind: "p" | "e"): string {
  const body = `nota_${kind}_${randomText(ID_LENGTH)}_${randomText(SECRET_LENGTH)}`;
  return `${body}_${checksum(body)}`;
}

/** Keeps a token: its hash, and an id that may be shown. */
export function hashToken(token: string): TokenHash {
  const hash = createHash("sha256").update(token).digest();
  return { id: OWN_TOKEN.exec(token)?.[2] ?? hash.toString("hex").slice(0, ID_LENGTH), hash };
}

/** The kept token that `token` is, or null. Time does not tell how much of it was right. */
export function findToken(token: string, known: readonly TokenHash[]): TokenHash | null {
  const { hash } = hashToken(token);
  return known.find((one) => timingSafeEqual(one.hash, hash)) ?? null;
}

/**
 * Reads a token file: one token a line, blank lines and lines beginning with # apart. A second publish token lets the
 * first be replaced without a gap. The text is never quoted in an error.
 *
 * @param what How errors name the file.
 * @throws {TypeError} Where there is no token, or one that is too short, damaged or mistyped.
 */
export function parseTokenFile(text: string, what: string): readonly TokenHash[] {
  const lines = text.split(/\r?\n/).map((line, index) => ({ token: line.trim(), at: index + 1 }))
    .filter(({ token }) => token !== "" && !token.startsWith("#"));
  if (lines.length === 0) throw new TypeError(`Cannot use ${what} as it holds no token: wanted one a line`);
  if (lines.length > TOKENS_MAX) throw new TypeError(`Cannot use ${what} as it holds more than ${TOKENS_MAX} tokens`);
  return lines.map(({ token, at }) => {
    if (!/^[\x21-\x7e]+$/.test(token) || token.length < TOKEN_MIN || token.length > TOKEN_MAX) {
      throw new TypeError(
        `Cannot use ${what}, line ${at}: wanted a token of ${TOKEN_MIN} to ${TOKEN_MAX} visible ASCII characters`,
      );
    }
    if (token.startsWith("nota_") && checksumOf(token) !== token.slice(-CHECKSUM_LENGTH)) {
      throw new TypeError(`Cannot use ${what}, line ${at}: the token's checksum does not fit (it is cut or mistyped)`);
    }
    return hashToken(token);
  });
}

function checksumOf(token: string): string {
  return checksum(token.slice(0, -CHECKSUM_LENGTH - 1));
}

/** Makes and checks the tokens by which accepted devices read releases, where strangers may not (protocol 5.1). */
export interface ReadTokens {
  make(deviceId: string, nowMs: number): string;
  /** The device that the token was made for, or null where it is not ours or is over. */
  check(token: string, nowMs: number): string | null;
}

/** About a day: a device renews it with each check-in. */
const READ_TOKEN_MS = 26 * 3_600_000;
// Hexadecimal throughout, so that the filter for logs sees one word and takes out all of it.
const READ_TOKEN = /^nota_r_([0-9a-f]{2,126})_(\d{1,16})_([0-9a-f]{64})$/;

/** Makes read tokens of a secret: nothing is kept, and a restart forgets none. */
export function createReadTokens(secret: Uint8Array): ReadTokens {
  const macOf = (name: string, untilMs: string): Buffer =>
    createHmac("sha256", secret).update(`nix-ota/read-token/1\0${name}\0${untilMs}`).digest();
  return {
    make: (deviceId, nowMs) => {
      // Whole hours: the same device gets the same token for a while.
      const until = String(Math.ceil((nowMs + READ_TOKEN_MS) / 3_600_000) * 3_600_000);
      return `nota_r_${Buffer.from(deviceId).toString("hex")}_${until}_${macOf(deviceId, until).toString("hex")}`;
    },
    check: (token, nowMs) => {
      const [, hex, until, mac] = READ_TOKEN.exec(token) ?? [];
      if (hex === undefined || until === undefined || mac === undefined || Number(until) <= nowMs) return null;
      const deviceId = Buffer.from(hex, "hex").toString();
      return timingSafeEqual(macOf(deviceId, until), Buffer.from(mac, "hex")) ? deviceId : null;
    },
  };
}
