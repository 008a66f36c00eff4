/** What can be wrong with an answer of a binary cache, and which answers it hits. Pure; cache_server.ts sends the result. */

/** What goes wrong. */
export type Fault =
  /** The narinfo has no signature, or one that does not verify. */
  | { kind: "no-signature" }
  | { kind: "bad-signature" }
  /** The narinfo promises another content than was signed. */
  | { kind: "wrong-nar-hash" }
  | { kind: "wrong-nar-size" }
  /** The narinfo promises another file than is sent, which is not covered by the signature. */
  | { kind: "wrong-file-hash" }
  /** Two bytes in the middle are not what they were. */
  | { kind: "corrupted" }
  /** Half of the body, and a Content-Length that says that this is all. */
  | { kind: "truncated" }
  /** The connection is cut after half of the body that Content-Length promised. */
  | { kind: "cut" }
  /** This status instead, with an empty or the given body. */
  | { kind: "status"; status: number; headers?: Record<string, string>; body?: string }
  /** Nothing is ever answered. */
  | { kind: "stalled-header" }
  /** The first 64 KiB are sent, and then nothing. */
  | { kind: "stalled-body" }
  | { kind: "slow"; bytesPerSecond: number };

/** A fault and the answers that it hits. */
export type FaultRule = {
  fault: Fault;
  /** A kind of file, or a pattern for the path after the first slash. */
  on: "nar" | "narinfo" | "nix-cache-info" | "all" | RegExp;
  /** Hits only so many answers, then heals; for ever unless told. */
  times?: number;
  /** Hits only files of at least this size, so that one nar of many is hit. */
  minBytes?: number;
};

/** How much of a body is sent before it stalls. */
const STALL_AFTER_BYTES = 65_536;

/** Whether a rule hits the answer for `path`, such as "nar/1abc.nar.zst". */
export function ruleHits(rule: FaultRule, path: string, sizeBytes: number): boolean {
  if (sizeBytes < (rule.minBytes ?? 0)) return false;
  const { on } = rule;
  if (on instanceof RegExp) return on.test(path);
  switch (on) {
    case "all":
      return true;
    case "nar":
      return path.startsWith("nar/");
    case "narinfo":
      return path.endsWith(".narinfo");
    case "nix-cache-info":
      return path === "nix-cache-info";
  }
}

/** The body that is sent in place of the right one. */
export function faultyBody(fault: Fault | undefined, body: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  switch (fault?.kind) {
    case "no-signature":
      return rewritten(body, /^Sig: .*\n/gm, "");
    case "bad-signature":
      return rewritten(body, /^(Sig: [^:]+:).{8}/gm, "$1AAAAAAAA");
    case "wrong-nar-hash":
      return rewritten(body, /^(NarHash: sha256:).{4}/m, "$10000");
    case "wrong-nar-size":
      return rewritten(body, /^NarSize: /m, "NarSize: 1");
    case "wrong-file-hash":
      return rewritten(body, /^(FileHash: sha256:).{4}/m, "$10000");
    case "corrupted":
      return corrupted(body);
    case "truncated":
      return body.slice(0, body.length >> 1);
    default:
      return body;
  }
}

/** How a body of `sizeBytes` goes over the wire; undefined is at once and whole. */
export type Delivery = { kind: "cut" | "stalled"; afterBytes: number } | { kind: "slow"; bytesPerSecond: number };

/** How the fault disturbs the sending of a body. */
export function deliveryOf(fault: Fault | undefined, sizeBytes: number): Delivery | undefined {
  switch (fault?.kind) {
    case "cut":
      return { kind: "cut", afterBytes: sizeBytes >> 1 };
    case "stalled-body":
      return { kind: "stalled", afterBytes: Math.min(STALL_AFTER_BYTES, sizeBytes >> 1) };
    case "slow":
      return { kind: "slow", bytesPerSecond: fault.bytesPerSecond };
    default:
      return undefined;
  }
}

/** Where a `Range: bytes=N-` header wants to begin; 0 without one. */
export function rangeStart(header: string | null): number {
  return Number(/^bytes=(\d+)-$/.exec(header ?? "")?.[1] ?? 0);
}

function rewritten(body: Uint8Array, pattern: RegExp, replacement: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(new TextDecoder().decode(body).replace(pattern, replacement));
}

function corrupted(body: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const changed = body.slice();
  const middle = changed.length >> 1;
  for (const index of [middle, middle + 1]) {
    const byte = changed[index];
    if (byte !== undefined) changed[index] = byte ^ 0xff;
  }
  return changed;
}
