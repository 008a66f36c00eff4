/**
 * Documents with one thing wrong, made from a valid one.
 * @module
 */
import type { Json } from "../canonical.ts";

/** A document that must be refused, and what was done to it. */
export interface Mutant {
  readonly what: string;
  readonly value: Json;
}

type JsonObject = { readonly [key: string]: Json };

function isObject(value: Json): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The value with another one at `path`, such as `targets.0.system`. */
export function withField(value: Json, path: string, field: Json): Json {
  const [key = "", ...rest] = path.split(".");
  const inner = (old: Json): Json => rest.length === 0 ? field : withField(old, rest.join("."), field);
  if (Array.isArray(value)) return value.map((item, at) => at === Number(key) ? inner(item) : item);
  if (!isObject(value) || !Object.hasOwn(value, key)) {
    throw new RangeError(`Cannot set ${path}: there is no such field`);
  }
  return Object.fromEntries(Object.entries(value).map(([name, old]) => [name, name === key ? inner(old) : old]));
}

/** Every object and leaf of a document with its path. */
function* placesOf(value: Json, path = ""): Generator<[path: string, value: Json]> {
  if (path !== "") yield [path, value];
  if (typeof value !== "object" || value === null) return;
  for (const [key, member] of Object.entries(value)) yield* placesOf(member, path === "" ? key : `${path}.${key}`);
}

function at(document: Json, path: string, value: Json): Json {
  return path === "" ? value : withField(document, path, value);
}

/** Every key of every object missing, renamed, out of order or joined by a stranger. */
function* keyMutants(document: Json): Generator<Mutant> {
  for (const [path, value] of [["", document] as const, ...placesOf(document)]) {
    if (!isObject(value)) continue;
    const entries = Object.entries(value);
    for (const [index, [key, member]] of entries.entries()) {
      const others = entries.filter(([other]) => other !== key);
      const name = path === "" ? key : `${path}.${key}`;
      yield { what: `${name} missing`, value: at(document, path, Object.fromEntries(others)) };
      const renamed = entries.with(index, [`${key}s`, member]);
      yield { what: `${name} renamed`, value: at(document, path, Object.fromEntries(renamed)) };
      const next = entries[index + 1];
      if (next === undefined) continue;
      const moved = entries.with(index, next).with(index + 1, [key, member]);
      yield { what: `${name} after the key that follows it`, value: at(document, path, Object.fromEntries(moved)) };
    }
    for (const stranger of ["zz", "__proto__", "constructor", ""]) {
      const where = `a key ${JSON.stringify(stranger)} in ${path || "the document"}`;
      // Object.fromEntries makes `__proto__` a key of its own, as JSON.parse does.
      yield { what: `${where}, first`, value: at(document, path, Object.fromEntries([[stranger, null], ...entries])) };
      yield { what: `${where}, last`, value: at(document, path, Object.fromEntries([...entries, [stranger, null]])) };
    }
  }
}

/** Every field with a value of each other type of JSON; null only where `nullable` does not list the path. */
function* typeMutants(document: Json, nullable: ReadonlySet<string>): Generator<Mutant> {
  const others: readonly Json[] = [null, true, 7, 0.5, "x\ud800", [], {}, [[]]];
  for (const [path, value] of placesOf(document)) {
    for (const other of others) {
      const sameType = typeof other === typeof value && Array.isArray(other) === Array.isArray(value) && other !== null;
      const harmless = sameType && !(typeof other === "object" || other === 0.5 || other === "x\ud800");
      if (harmless || (other === null && nullable.has(path))) continue;
      if (Array.isArray(value) && Array.isArray(other) && other.length === 0) continue; // Limits are rows of their own.
      yield { what: `${path} as ${JSON.stringify(other)}`, value: withField(document, path, other) };
    }
  }
}

/** Every document that differs from a valid one in its keys or in the type of one field. */
export function* mutantsOf(document: Json, nullable: readonly string[] = []): Generator<Mutant> {
  yield* keyMutants(document);
  yield* typeMutants(document, new Set(nullable));
  for (const value of [null, true, 7, "text", [], {}, [document]]) {
    yield { what: `${JSON.stringify(value).slice(0, 20)} instead of the document`, value };
  }
}
