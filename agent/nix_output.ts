/**
 * Reads what Nix prints. Nothing here trusts that Nix prints what it did in the version before.
 * @module
 */
import { cleanText, type ClosurePath, formatBase64, parseBase64, parseStorePath } from "@nix-ota/common";

/** Alphabet of Nix's base 32. */
const NIX32 = "0123456789abcdfghijklmnpqrsvwxyz";
const SHA256_BYTES = 32;

/** Reads Nix's base 32, which begins with the last bits; null where it is not that. */
export function parseNix32(text: string, bytes: number): Uint8Array<ArrayBuffer> | null {
  if (text.length !== Math.ceil(bytes * 8 / 5)) return null;
  const out = new Uint8Array(bytes);
  for (let n = 0; n < text.length; n++) {
    const digit = NIX32.indexOf(text.charAt(text.length - n - 1));
    if (digit < 0) return null;
    const bit = n * 5;
    const at = Math.floor(bit / 8);
    const value = digit << bit % 8;
    out[at] = (out[at] ?? 0) | (value & 0xff);
    const carry = value >> 8;
    if (at + 1 < bytes) out[at + 1] = (out[at + 1] ?? 0) | carry;
    else if (carry > 0) return null;
  }
  return out;
}

/** The hash of a NAR in the form that releases sign, `sha256-<base64>`, from any form that Nix has printed. */
export function parseNarHash(value: unknown): string | null {
  if (typeof value === "object" && value !== null) {
    const { algorithm, hash } = value as { algorithm?: unknown; hash?: unknown };
    return algorithm === "sha256" && typeof hash === "string" ? fromSha256(hash) : null;
  }
  if (typeof value !== "string") return null;
  const [, digest] = /^sha256[-:](.+)$/.exec(value) ?? [];
  return digest === undefined ? null : fromSha256(digest);
}

function fromSha256(digest: string): string | null {
  const bytes = digest.length === 64 ? parseHex(digest) : parseNix32(digest, SHA256_BYTES) ?? parseBase64(digest);
  return bytes?.length === SHA256_BYTES ? `sha256-${formatBase64(bytes)}` : null;
}

function parseHex(text: string): Uint8Array<ArrayBuffer> | null {
  if (!/^[0-9a-f]*$/.test(text)) return null;
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

/**
 * Reads `nix path-info --json`: a list with `path` (up to 2.18), an object by path (2.19), or an object with the paths
 * under `info`, by base name (from 2.33).
 *
 * @returns Every path of the closure.
 * @throws {TypeError} Where a path is not valid or a value has no form that is known.
 */
export function parsePathInfo(json: string): readonly ClosurePath[] {
  const value: unknown = JSON.parse(json);
  if (Array.isArray(value)) return value.map((item: { path?: unknown } | null) => closurePath(item?.path, item));
  if (typeof value !== "object" || value === null) {
    throw new TypeError("Cannot read the path info: wanted a list or an object");
  }
  const { info } = value as { info?: unknown };
  const byPath = typeof info === "object" && info !== null ? info : value;
  return Object.entries(byPath).map(([path, facts]) => closurePath(path, facts));
}

function closurePath(path: unknown, facts: unknown): ClosurePath {
  if (typeof path !== "string") throw new TypeError("Cannot read the path info: an entry has no path");
  const { path: storePath } = parseStorePath(path.startsWith("/") ? path : `/nix/store/${path}`);
  const { narHash, narSize, valid } = (facts ?? { valid: false }) as Record<string, unknown>;
  if (valid === false) throw new TypeError(`Cannot read the path info: "${storePath}" is not in the store`);
  const hash = parseNarHash(narHash);
  if (hash === null) throw new TypeError(`Cannot read the path info: the hash of "${storePath}" has an unknown form`);
  if (typeof narSize !== "number" || !Number.isSafeInteger(narSize) || narSize < 0) {
    throw new TypeError(`Cannot read the path info: the size of "${storePath}" is not a number`);
  }
  return { storePath, narHash: hash, narSize };
}

/** Store paths that `nix store verify` found altered or missing; at most as many as a closure may have. */
export function parseDamaged(stderr: string): readonly string[] {
  const found = new Set<string>();
  for (const line of cleanText(stderr).split("\n")) {
    if (
      !/was modified|is not valid|does not exist|No such file|disappeared|bad archive|getting status of|opening/.test(
        line,
      )
    ) continue;
    const [path] = /\/nix\/store\/[0-9a-z]{32}-[0-9A-Za-z+\-._?=]+/.exec(line) ?? [];
    if (path !== undefined) found.add(path);
  }
  return [...found];
}

/** What `--dry-run` says would be fetched, unpacked, in bytes; 0 where it would fetch nothing. */
export function parseDryRun(stderr: string): number {
  const units: Readonly<Record<string, number>> = { KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3, TiB: 1024 ** 4 };
  const [, amount, unit] = /will be fetched \([\d.]+ \w+ download, ([\d.]+) (\w+) unpacked\)/.exec(cleanText(stderr)) ??
    [];
  return Math.ceil(Number(amount ?? 0) * (units[unit ?? ""] ?? 1));
}

/** How far a fetch is. */
export interface FetchProgress {
  readonly paths: number;
  readonly ofPaths: number;
  readonly bytes: number;
  readonly ofBytes: number;
}

/** Follows the internal-json log of one fetch. */
export interface ProgressReader {
  /** Takes one line of stderr; anything that is not understood is ignored. */
  read(line: string): void;
  progress(): FetchProgress;
  /** Messages for people: what happened, then warnings and errors; at most {@link MESSAGES_MAX} of each, the newest. */
  messages(): readonly string[];
}

/** Most messages of a kind that are kept of one call: what decides is among the last. */
export const MESSAGES_MAX = 100;

/** Numbers of Nix's activities, levels and results (NixOS/nix src/libutil/logging.hh). */
const ACTIVITY = { copyPath: 100, copyPaths: 103 } as const;
const LEVEL = { error: 0, warning: 1, info: 3 } as const;
const RESULT = { progress: 105, setExpected: 106 } as const;

/** Starts to follow a fetch. */
export function createProgressReader(): ProgressReader {
  const copying = new Map<number, { done: number; size: number }>();
  const groups = new Set<number>();
  const infos: string[] = [];
  const problems: string[] = [];
  let finishedBytes = 0;
  let expectedBytes = 0;
  let paths = 0;
  let ofPaths = 0;

  function started({ id, type }: Line): void {
    if (typeof id !== "number") return;
    if (type === ACTIVITY.copyPath) copying.set(id, { done: 0, size: 0 });
    if (type === ACTIVITY.copyPaths) groups.add(id);
  }

  function stopped({ id }: Line): void {
    const copy = typeof id === "number" ? copying.get(id) : undefined;
    if (copy === undefined || typeof id !== "number") return;
    finishedBytes += copy.done;
    copying.delete(id);
  }

  function result({ id, type, fields }: Line): void {
    if (typeof id !== "number" || !Array.isArray(fields)) return;
    const [first, second] = fields.map((field) => typeof field === "number" && field >= 0 ? field : 0);
    if (type === RESULT.setExpected && first === ACTIVITY.copyPath) {
      expectedBytes = Math.max(expectedBytes, second ?? 0);
    } else if (type === RESULT.progress && copying.has(id)) {
      copying.set(id, { done: first ?? 0, size: second ?? 0 });
    } else if (type === RESULT.progress && groups.has(id)) {
      paths = first ?? 0;
      ofPaths = Math.max(ofPaths, second ?? 0);
    }
  }

  function message(text: string, level: number): void {
    const kept = level <= LEVEL.warning ? problems : infos;
    kept.push(cleanText(text).trim());
    if (kept.length > MESSAGES_MAX) kept.shift();
  }

  return {
    read(text) {
      const line = parseLine(text);
      if (line === null) return message(text, LEVEL.error);
      if (line.action === "start") started(line);
      else if (line.action === "stop") stopped(line);
      else if (line.action === "result") result(line);
      else if (line.action === "msg" && typeof line.msg === "string" && Number(line.level) <= LEVEL.info) {
        message(line.msg, Number(line.level));
      }
    },
    progress() {
      const running = [...copying.values()].reduce((sum, { done }) => sum + done, 0);
      const bytes = finishedBytes + running;
      return { paths, ofPaths: Math.max(paths, ofPaths), bytes, ofBytes: Math.max(bytes, expectedBytes) };
    },
    messages: () => [...infos, ...problems],
  };
}

interface Line {
  readonly action?: unknown;
  readonly id?: unknown;
  readonly type?: unknown;
  readonly fields?: unknown;
  readonly level?: unknown;
  readonly msg?: unknown;
}

function parseLine(text: string): Line | null {
  if (!text.startsWith("@nix ")) return null;
  try {
    const value: unknown = JSON.parse(text.slice(5));
    return typeof value === "object" && value !== null ? value : {};
  } catch {
    return {}; // A line that was cut.
  }
}
