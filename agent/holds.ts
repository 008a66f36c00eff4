/**
 * Which releases have to wait before the next attempt: longer after each failure, kept in memory only.
 * @module
 */
import { backoffMs } from "@nix-ota/common";

/** Most releases that are waited with: a server could invent digests without end. */
const HOLDS_MAX = 64;

/** Where time and chance come from. */
export interface HoldsDeps {
  /** Milliseconds of a clock that never jumps. */
  readonly nowMs: () => number;
  readonly random: () => number;
}

/** See above. */
export class Holds {
  readonly #deps: HoldsDeps;
  readonly #held = new Map<string, { readonly untilMs: number; readonly delayMs: number }>();

  constructor(deps: HoldsDeps) {
    this.#deps = deps;
  }

  /** Milliseconds until a release may be tried again; 0 where it may be now. */
  leftMs(digest: string): number {
    return Math.max(0, (this.#held.get(digest)?.untilMs ?? 0) - this.#deps.nowMs());
  }

  /** Notes a failed attempt; nothing changes while one is waited with. */
  note(digest: string): void {
    if (this.leftMs(digest) > 0) return;
    const delayMs = backoffMs(this.#held.get(digest)?.delayMs ?? 0, this.#deps.random);
    if (this.#held.size >= HOLDS_MAX) this.#held.clear();
    this.#held.set(digest, { delayMs, untilMs: this.#deps.nowMs() + delayMs });
  }

  /** Forgets a release, or all of them. */
  release(digest?: string): void {
    if (digest === undefined) this.#held.clear();
    else this.#held.delete(digest);
  }
}
