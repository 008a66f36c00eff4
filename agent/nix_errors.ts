/**
 * What went wrong in Nix, from its words: its exit code is 1 for everything, and its last line says only that it failed.
 * @module
 */
import { cleanText, type Reason } from "@nix-ota/common";

/** A reason, and the line of Nix that says it. */
export interface NixFailure {
  readonly reason: Reason;
  readonly line: string;
}

/**
 * Patterns in order of weight: the first that any line matches decides. The device's own troubles come first, for they
 * also show as failed downloads; then what a retry cannot mend; "don't know how to build" is last, as it follows from
 * most of the others. Each is proved on captured output; see fixtures/nix/README.md.
 */
const PATTERNS: readonly (readonly [Reason, RegExp])[] = [
  [
    "insufficient_space",
    /No space left on device|database or disk is full|Disk quota exceeded|not enough free disk space/i,
  ],
  ["store_read_only", /Read-only file system|readonly database|read-only database/i],
  ["store_corrupt", /database disk image is malformed|file is not a database|disk I\/O error|Input\/output error/i],
  [
    "signature_untrusted",
    /not signed by any of the keys|lacks a (?:valid )?signature|lacks a signature by a trusted key/i,
  ],
  [
    "content_corrupt",
    /hash mismatch|bad archive|Failed to open archive|Truncated \w+ input|decompression failed|failed to read compressed data|NAR .*(?:corrupt|invalid)|input compressed|unexpected end-of-file|wrong (?:NAR )?size/i,
  ],
  ["cache_denied", /HTTP error 40[137]\b/i],
  ["path_missing", /does not exist in binary cache/i],
  [
    "cache_stalled",
    /Operation too slow|Timeout was reached|Operation timed out|timed out after/i,
  ],
  ["cache_error", /HTTP error (?:5\d\d|429)\b|does not appear to be a binary cache|is for Nix stores with prefix/i],
  [
    "cache_unreachable",
    /Could not connect|Couldn't connect|Could not resolve|Couldn't resolve|Connection refused|Network is unreachable|No route to host|SSL (?:connect|peer|certificate)|Transferred a partial file|Empty reply|Recv failure|Failure when receiving|Connection reset|curl error|unable to download/i,
  ],
  ["interrupted", /interrupted by the user|was interrupted/i],
  ["path_missing", /don't know how to build|no substituter that can build|is required, but|is not valid/i],
];

/** Classifies what Nix said; `fetch_failed` where nothing is known of it. */
export function classifyNixError(messages: readonly string[]): NixFailure {
  const lines = messages.flatMap((message) => cleanText(message).split("\n")).map((line) => line.trim())
    .filter((line) => line !== "");
  for (const [reason, pattern] of PATTERNS) {
    const at = lines.findLastIndex((one) => pattern.test(one));
    const line = lines[at];
    if (line === undefined) continue;
    // A line that ends in a colon says what about in the next one.
    return { reason, line: line.endsWith(":") ? `${line} ${lines[at + 1] ?? ""}`.trim() : line };
  }
  return { reason: "fetch_failed", line: lines.at(-1) ?? "Nix said nothing" };
}
