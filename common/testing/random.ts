/**
 * Bytes and chance for tests: the same on every run.
 * @module
 */
import { formatHex } from "../base64.ts";
import type { Bytes } from "../canonical.ts";

/** Bytes of hexadecimal digits; blanks between them are for the reader. */
export function fromHex(hex: string): Bytes {
  return Uint8Array.from(hex.replaceAll(/\s/g, "").match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

/** 32 bytes, least first, as Ed25519 writes numbers. */
export function littleEndian(value: bigint): Bytes {
  return fromHex(value.toString(16).padStart(64, "0")).reverse();
}

/** The number that {@link littleEndian} wrote. */
export function fromLittleEndian(bytes: Bytes): bigint {
  return BigInt(`0x${formatHex(bytes.toReversed())}`);
}

/** A source of numbers in [0, 1) that gives the same ones for the same seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A whole number from 0 to `below` - 1. */
export function pickNumber(random: () => number, below: number): number {
  return Math.floor(random() * below);
}

/** One of the items, which must not be none. */
export function pickOne<T>(random: () => number, items: readonly T[]): T {
  const item = items[pickNumber(random, items.length)];
  if (item === undefined) throw new RangeError("Cannot pick from an empty list");
  return item;
}

/** Bytes of chance. */
export function randomBytes(random: () => number, length: number): Bytes {
  return Uint8Array.from({ length }, () => pickNumber(random, 256));
}

/** A copy with one bit turned over; bits are counted from the first byte's lowest. */
export function flipBit(bytes: Bytes, bit: number): Bytes {
  const copy = bytes.slice();
  copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7));
  return copy;
}
