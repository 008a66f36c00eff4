/**
 * Small parsers that turn unknown values into typed ones and name the place when they refuse.
 * @module
 */
import { quoteText } from "./text.ts";

/** Reads a value found at `at`, such as `payload.targets[3].system`. Throws {@link SchemaError}. */
export type Parser<T> = (value: unknown, at: string) => T;

/** The type that a parser returns. */
export type Infer<P> = P extends Parser<infer T> ? T : never;

/** A value did not have the form that was wanted; the message says where. */
export class SchemaError extends Error {
  override readonly name: string = "SchemaError";
  /** Where in the document, such as `payload.targets[3].system`. */
  readonly at: string;

  constructor(at: string, problem: string) {
    super(`${at} ${problem}`);
    this.at = at;
  }
}

/** How much of a refused value an error message shows, in UTF-16 code units: enough to recognise it. */
const SHOWN_MAX = 60;

/** A short picture of a value for an error message: on one line, without anything that a terminal would act on. */
export function show(value: unknown): string {
  if (value === undefined) return "nothing";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object" && value !== null) return "an object";
  const text = typeof value === "string" ? quoteText(value) : String(value);
  return text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX).toWellFormed()}…` : text;
}

/** Limits of a string; lengths in UTF-16 code units. `wanted` completes "must be …". */
export interface StringRule {
  readonly pattern?: RegExp;
  readonly min?: number;
  readonly max: number;
  readonly wanted: string;
}

/** A well-formed string within limits. */
export function string(rule: StringRule): Parser<string> {
  return (value, at) => {
    const good = typeof value === "string" && value.length >= (rule.min ?? 0) && value.length <= rule.max &&
      value.isWellFormed() && (rule.pattern?.test(value) ?? true);
    if (!good) throw new SchemaError(at, `must be ${rule.wanted}, found ${show(value)}`);
    return value;
  };
}

/** A safe integer between two bounds, both included. */
export function integer(min: number, max: number = Number.MAX_SAFE_INTEGER): Parser<number> {
  return (value, at) => {
    if (typeof value !== "number" || !Number.isSafeInteger(value) || value < min || value > max) {
      throw new SchemaError(at, `must be an integer from ${min} to ${max}, found ${show(value)}`);
    }
    return value;
  };
}

/** `true` or `false`. */
export function boolean(value: unknown, at: string): boolean {
  if (typeof value !== "boolean") throw new SchemaError(at, `must be true or false, found ${show(value)}`);
  return value;
}

/** Exactly one value. */
export function literal<const T extends string | number | boolean>(wanted: T): Parser<T> {
  return (value, at) => {
    if (value !== wanted) throw new SchemaError(at, `must be ${show(wanted)}, found ${show(value)}`);
    return wanted;
  };
}

/** One of a closed list of strings. */
export function oneOf<const T extends string>(wanted: readonly T[]): Parser<T> {
  return (value, at) => {
    const found = wanted.find((one) => one === value);
    if (found === undefined) throw new SchemaError(at, `must be one of ${wanted.join(", ")}, found ${show(value)}`);
    return found;
  };
}

/** The value or null. */
export function nullable<T>(parser: Parser<T>): Parser<T | null> {
  return (value, at) => value === null ? null : parser(value, at);
}

/** The value, or `fallback` where the key is absent. For configuration and unsigned answers only. */
export function optional<T>(parser: Parser<T>, fallback: T): Parser<T> {
  return (value, at) => value === undefined ? fallback : parser(value, at);
}

/** A list with between `min` and `max` items. */
export function array<T>(parser: Parser<T>, { min = 0, max }: { min?: number; max: number }): Parser<readonly T[]> {
  return (value, at) => {
    if (!Array.isArray(value)) throw new SchemaError(at, `must be a list, found ${show(value)}`);
    if (value.length < min || value.length > max) {
      throw new SchemaError(at, `must have ${min} to ${max} items, found ${value.length}`);
    }
    return value.map((item, index) => parser(item, `${at}[${index}]`));
  };
}

type Fields = Record<string, Parser<unknown>>;
type Shape<F extends Fields> = { readonly [K in keyof F]: Infer<F[K]> };

function asObject(value: unknown, at: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new SchemaError(at, `must be an object, found ${show(value)}`);
  }
  return value as Record<string, unknown>; // A JSON object: every member is unknown until parsed.
}

function pick<F extends Fields>(fields: F, object: Record<string, unknown>, at: string): Shape<F> {
  const out: Record<string, unknown> = {};
  for (const [key, parser] of Object.entries(fields)) {
    out[key] = parser(Object.hasOwn(object, key) ? object[key] : undefined, at === "" ? key : `${at}.${key}`);
  }
  return out as Shape<F>; // Each member came from the parser that `Shape` names for it.
}

/** An object with exactly these keys in exactly this order: the form of everything signed (protocol 1.3). */
export function record<F extends Fields>(fields: F): Parser<Shape<F>> {
  const wanted = Object.keys(fields);
  return (value, at) => {
    const object = asObject(value, at);
    const found = Object.keys(object);
    // Nearly every document is right: one look tells, and only then is it asked what is wrong.
    if (found.length === wanted.length && found.every((key, index) => key === wanted[index])) {
      return pick(fields, object, at);
    }
    const unknown = found.find((key) => !wanted.includes(key));
    if (unknown !== undefined) throw new SchemaError(at, `has the unknown key ${show(unknown)}`);
    const missing = wanted.find((key) => !found.includes(key));
    if (missing !== undefined) throw new SchemaError(at, `lacks the key "${missing}"`);
    const moved = wanted.findIndex((key, index) => found[index] !== key);
    throw new SchemaError(at, `must have "${wanted[moved]}" as its key number ${moved + 1}`);
  };
}

/** An object with exactly these keys in any order, absent ones left to {@link optional}: configuration files. */
export function closed<F extends Fields>(fields: F): Parser<Shape<F>> {
  return (value, at) => {
    const object = asObject(value, at);
    const unknown = Object.keys(object).find((key) => !Object.hasOwn(fields, key));
    if (unknown !== undefined) {
      const known = Object.keys(fields).join(", ");
      throw new SchemaError(at || "the configuration", `has the unknown key ${show(unknown)} (known: ${known})`);
    }
    return pick(fields, object, at);
  };
}

/** An object with at least these keys; others are ignored, so that a newer program may say more in unsigned answers. */
export function open<F extends Fields>(fields: F): Parser<Shape<F>> {
  return (value, at) => pick(fields, asObject(value, at), at);
}
