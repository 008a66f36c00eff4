/**
 * Closures: every store path a system needs, bound to its contents by one digest (protocol 2.1, 5.3).
 * @module
 */
import { digestOf } from "./base64.ts";
import { type Bytes, decodeUtf8, encodeUtf8 } from "./canonical.ts";
import { OtaError } from "./errors.ts";
import { NarHash, StorePath } from "./names.ts";
import { CLOSURE_PATHS_MAX } from "./release.ts";
import { integer, SchemaError } from "./schema.ts";

/** One path of a closure: a line of the listing (protocol 2.1). */
export interface ClosurePath {
  readonly storePath: string;
  /** `sha256-<base64>`. */
  readonly narHash: string;
  /** Size of the NAR in bytes. */
  readonly narSize: number;
}

/** What a release signs of a closure (protocol 2.1). */
export interface ClosureSummary {
  readonly paths: number;
  readonly narSize: number;
  readonly digest: string;
}

/** Largest closure listing in bytes (protocol 6.2). */
export const LISTING_MAX_BYTES = 8 * 1024 * 1024;

const Size = integer(0);

/**
 * The listing of a closure (protocol 2.1): the sorted lines `storePath SP narHash SP narSize LF` whose SHA-256 is signed.
 * Each path is to be given once, with its hash as `sha256-<base64>` and its size in bytes.
 */
export function formatClosureListing(paths: readonly ClosurePath[]): string {
  const lines = paths.map(({ storePath, narHash, narSize }) => `${storePath} ${narHash} ${narSize}\n`);
  // Code unit order: the same everywhere, where a locale's order is not.
  return lines.sort((a, b) => a < b ? -1 : a > b ? 1 : 0).join("");
}

/**
 * Reads a closure listing (protocol 5.3); only the one form that {@link formatClosureListing} prints is accepted: at most
 * {@link LISTING_MAX_BYTES} and {@link CLOSURE_PATHS_MAX} lines, sorted, each path once, the last line ended too.
 * @throws {OtaError} `encoding_invalid`, `body_too_large` or `request_invalid` with the line's number.
 */
export function parseClosureListing(bytes: Bytes): readonly ClosurePath[] {
  if (bytes.length > LISTING_MAX_BYTES) {
    throw new OtaError(
      "body_too_large",
      `Cannot read the closure listing as it has ${bytes.length} bytes: wanted at most ${LISTING_MAX_BYTES}`,
    );
  }
  // One more than may be, and one for what follows the last line end.
  const lines = decodeUtf8(bytes).split("\n", CLOSURE_PATHS_MAX + 2);
  if (lines.length > CLOSURE_PATHS_MAX + 1) {
    throw new OtaError(
      "request_invalid",
      `Cannot read the closure listing as it has more than ${CLOSURE_PATHS_MAX} paths`,
    );
  }
  if (lines.pop() !== "") {
    throw new OtaError("request_invalid", "Cannot read the closure listing as its last line is cut");
  }
  return lines.map((line, index) => {
    try {
      return parseLine(line, lines[index - 1] ?? "");
    } catch (cause) {
      if (!(cause instanceof SchemaError)) throw cause;
      throw new OtaError("request_invalid", `Cannot read the closure listing, line ${index + 1}: ${cause.message}`, {
        cause,
      });
    }
  });
}

function parseLine(line: string, previous: string): ClosurePath {
  const [storePath, narHash, narSize = "", ...rest] = line.split(" ");
  if (rest.length > 0 || !/^(?:0|[1-9]\d{0,15})$/.test(narSize)) {
    throw new SchemaError("it", "must be a store path, a NAR hash and a size, with one blank between them");
  }
  if (previous >= line) throw new SchemaError("it", "must sort after the line before it");
  // A blank sorts before every character of a store path, so lines of one path would be neighbours.
  if (previous.startsWith(`${storePath} `)) throw new SchemaError("it", "repeats the store path of the line before it");
  return {
    storePath: StorePath(storePath, "its path"),
    narHash: NarHash(narHash, "its hash"),
    narSize: Size(Number(narSize), "its size"),
  };
}

/** Number of paths, total NAR size in bytes and digest of a closure: what a release signs of it (protocol 2.1). */
export async function summariseClosure(paths: readonly ClosurePath[]): Promise<ClosureSummary> {
  return {
    paths: paths.length,
    narSize: paths.reduce((sum, { narSize }) => sum + narSize, 0),
    digest: await digestOf(encodeUtf8(formatClosureListing(paths))),
  };
}
