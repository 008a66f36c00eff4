/**
 * What `nix path-info --json -r` prints, from Nix 2.18 on.
 * @module
 */
import { CLOSURE_PATHS_MAX, type ClosurePath, parseStorePath, schema, SchemaError } from "@nix-ota/common";
import { formatSri, parseSha256 } from "./nix32.ts";

/** A path of the local store. */
export interface LocalPath extends ClosurePath {
  /** Full store paths, sorted, the path itself included where it refers to itself. */
  readonly references: readonly string[];
}

const Info = schema.open({
  narHash: hash,
  narSize: schema.integer(1),
  references: schema.array(schema.string({ max: 255, wanted: "a store path" }), { max: CLOSURE_PATHS_MAX }),
});

/**
 * Reads the output: a list with the path inside each item (Nix up to 2.18), an object keyed by path (2.19 and later),
 * where a path that is not there is null, or `--json-format 2` (2.33 and later). Hashes may be in any of Nix's forms.
 *
 * @throws {TypeError} With a sentence: paths that are missing, or output that has no known form.
 */
export function parsePathInfo(json: string): readonly LocalPath[] {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (cause) {
    throw new TypeError("Cannot read the output of nix path-info as it is not JSON", { cause });
  }
  const entries = readEntries(value);
  const missing = entries.find(([, info]) => info === null || (info as { valid?: unknown }).valid === false);
  if (missing) throw new TypeError(`Cannot use the closure as ${missing[0]} is not in the Nix store (build it first)`);
  if (entries.length === 0) throw new TypeError("Cannot use the closure as nix path-info lists no path");
  if (entries.length > CLOSURE_PATHS_MAX) {
    throw new TypeError(
      `Cannot use the closure as it has ${entries.length} paths: wanted at most ${CLOSURE_PATHS_MAX}`,
    );
  }
  try {
    return entries.map(([path, info]) => toLocalPath(path, info));
  } catch (cause) {
    if (!(cause instanceof SchemaError || cause instanceof TypeError)) throw cause;
    throw new TypeError(`Cannot read the output of nix path-info: ${cause.message}`, { cause });
  }
}

function readEntries(value: unknown): readonly (readonly [path: string, info: unknown])[] {
  try {
    return entriesOf(value);
  } catch (cause) {
    if (!(cause instanceof SchemaError)) throw cause;
    throw new TypeError(`Cannot read the output of nix path-info: ${cause.message}`, { cause });
  }
}

function entriesOf(value: unknown): readonly (readonly [path: string, info: unknown])[] {
  if (Array.isArray(value)) {
    return value.map((item: unknown) => {
      const path = typeof item === "object" && item !== null && "path" in item ? item.path : undefined;
      if (typeof path !== "string") throw new TypeError("Cannot read the output of nix path-info: an item has no path");
      return [path, item];
    });
  }
  if (typeof value === "object" && value !== null) return "info" in value ? format2(value) : Object.entries(value);
  throw new TypeError("Cannot read the output of nix path-info: wanted a list or an object");
}

/** `--json-format 2` of Nix 2.33 and later: names without the store's directory, under `info`. */
function format2(value: { info: unknown }): readonly (readonly [path: string, info: unknown])[] {
  const { info } = Format2(value, "output");
  return Object.entries(info).map(([name, one]) => [
    `/nix/store/${name}`,
    one === null ? null : withFullReferences(one, name),
  ]);
}

const Format2 = schema.open({
  version: schema.literal(2),
  storeDir: schema.literal("/nix/store"),
  info: (value: unknown, at: string): object => {
    if (typeof value === "object" && value !== null) return value;
    throw new SchemaError(at, "must be an object");
  },
});

const References = schema.open({
  references: schema.array(schema.string({ max: 255, wanted: "a store path's name" }), { max: CLOSURE_PATHS_MAX }),
});

function withFullReferences(info: unknown, at: string): unknown {
  const { references } = References(info, at);
  return { ...(info as object), references: references.map((name) => `/nix/store/${name}`) }; // An object, as it has a key.
}

function toLocalPath(path: string, info: unknown): LocalPath {
  const { narHash, narSize, references } = Info(info, path);
  return {
    storePath: parseStorePath(path).path,
    narHash,
    narSize,
    references: references.map((one) => parseStorePath(one).path).sort(),
  };
}

function hash(value: unknown, at: string): string {
  const bytes = typeof value === "string" ? parseSha256(value) : null;
  if (!bytes) throw new SchemaError(at, "must be a SHA-256 as Nix prints it");
  return formatSri(bytes);
}
