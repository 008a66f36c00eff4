/**
 * The chain of check-ins: a number that only grows, and the nonce of the last answer (protocol 4.3).
 * @module
 */
import { decodeUtf8, encodeUtf8, schema } from "@nix-ota/common";
import { writeDurably } from "./atomic_file.ts";
import type { Context } from "./context.ts";

/** What the next check-in carries. */
export interface Sequence {
  readonly seq: number;
  readonly nonce: string;
}

/** How far a server may move the number forward at once: a restored state directory is some check-ins behind, no more. */
export const SEQ_JUMP_MAX = 10_000_000;

const Nonce = schema.string({ pattern: /^[A-Za-z0-9_-]{0,64}$/, max: 64, wanted: "a nonce" });
const Stored = schema.open({ seq: schema.integer(0), nonce: Nonce });

/**
 * Numbers that are made durable at once: a device checks in every minute for years, and flash memory bears only so many
 * writes. After a crash the numbers of the block that were not used are left out, and the server says its nonce anew.
 */
export const SEQ_BLOCK = 64;

/** The chain, kept in a file of its own. */
export interface CheckinChain {
  /** The next number and the nonce to send; the number is durable before it returns, so that none is sent twice. */
  next(): Promise<Sequence>;
  /** Takes the nonce of an answer. */
  answered(nonce: string): void;
  /** Keeps exactly what was used, at an orderly end. */
  close(): Promise<void>;
  /** Goes on from where the server says that the chain is; false where what it says cannot be. */
  resume(members: Readonly<Record<string, unknown>>): boolean;
}

/** Opens the chain; one that cannot be read begins anew, and the server says where it was. */
export async function openChain({ system, paths }: Pick<Context, "system" | "paths">): Promise<CheckinChain> {
  let { seq, nonce } = await readStored();
  let reserved = seq;

  async function readStored(): Promise<Sequence> {
    try {
      const content = await system.files.read(paths.sequence, 4096);
      return content === null ? { seq: 0, nonce: "" } : Stored(JSON.parse(decodeUtf8(content)), "sequence");
    } catch {
      return { seq: 0, nonce: "" };
    }
  }

  async function store(upTo: number): Promise<void> {
    const content = encodeUtf8(`${JSON.stringify({ seq: upTo, nonce })}\n`);
    await writeDurably(system.files, { path: paths.sequence, content, mode: 0o600 });
    reserved = upTo;
  }

  return {
    async next() {
      const mine = ++seq;
      if (mine > reserved) await store(mine + SEQ_BLOCK - 1);
      return { seq: mine, nonce };
    },
    close: () => store(seq),
    answered(next) {
      nonce = next;
    },
    resume(members) {
      const { seq: theirs, nonce: current } = members;
      if (typeof theirs !== "number" || !Number.isSafeInteger(theirs)) return false;
      if (theirs < 0 || theirs > seq + SEQ_JUMP_MAX) return false;
      if (typeof current !== "string" || !/^[A-Za-z0-9_-]{1,64}$/.test(current)) return false;
      seq = Math.max(seq, theirs);
      nonce = current;
      return true;
    },
  };
}
