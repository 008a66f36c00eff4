/**
 * Names and small values that several documents share, with their limits (protocol 2.1).
 * @module
 */
import { integer, nullable, type Parser, SchemaError, show, string } from "./schema.ts";
import { parseStorePath } from "./store_path.ts";
import { parseTimestamp } from "./time.ts";

/** A fleet, channel, variant or device name (protocol 2.1): usable in URLs and on screens, never used as a file name. */
export const NAME_PATTERN = /^[a-z0-9][a-z0-9-]{0,62}$/;

/** Reads a fleet, channel, variant or device name; see {@link NAME_PATTERN}. */
export const Name: Parser<string> = string({
  pattern: NAME_PATTERN,
  max: 63,
  wanted: "1 to 63 characters a-z, 0-9 and -, not beginning with -",
});

/** A Nix system such as `x86_64-linux` (protocol 2.1). */
export const SystemName: Parser<string> = string({
  pattern: /^[a-z0-9_]{1,32}-[a-z0-9]{1,16}$/,
  max: 49,
  wanted: 'a Nix system such as "x86_64-linux"',
});

/** A release revision (protocol 2.1): 1 to 2^53-1. */
export const Revision: Parser<number> = integer(1);

/** A SHA-256 as `sha256:<hex>` (protocol 2.1). */
export const Digest: Parser<string> = string({
  pattern: /^sha256:[0-9a-f]{64}$/,
  max: 71,
  wanted: '"sha256:" and 64 hexadecimal digits',
});

/** The SHA-256 of a NAR as Nix prints it, `sha256-<base64>` (protocol 2.1), without loose bits in its last digit. */
export const NarHash: Parser<string> = string({
  pattern: /^sha256-[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/,
  max: 51,
  wanted: 'a NAR hash such as Nix prints, "sha256-" and 44 characters of base64',
});

/**
 * A store path; see {@link parseStorePath} for its form.
 * @throws {SchemaError} With the place.
 */
export function StorePath(value: unknown, at: string): string {
  if (typeof value === "string") {
    try {
      return parseStorePath(value).path;
    } catch {
      // Falls through to the error that names the place.
    }
  }
  throw new SchemaError(at, `must be a store path such as /nix/store/<hash>-<name>, found ${show(value)}`);
}

/**
 * A UTC time with whole seconds, `YYYY-MM-DDTHH:MM:SSZ` (protocol 2.1).
 * @throws {SchemaError} With the place.
 */
export function Timestamp(value: unknown, at: string): string {
  if (typeof value === "string" && parseTimestamp(value) !== null) return value;
  throw new SchemaError(at, `must be a UTC time such as 2026-01-31T12:00:00Z, found ${show(value)}`);
}

/** Free text of at most `max` UTF-16 code units (protocol 2.1): cleaned where it is shown (`cleanText`), never interpreted. */
export function text(max: number): Parser<string> {
  return string({ max, wanted: `text of at most ${max} characters` });
}

/** A release as others refer to it: its revision and the digest of its payload. */
export interface ReleaseRef {
  readonly revision: number;
  readonly digest: string;
}

/** A store path or null where it is not known. */
export const MaybeStorePath: Parser<string | null> = nullable(StorePath);
