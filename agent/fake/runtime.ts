/**
 * Time for the fake device: it stands still while anything can still happen, then jumps to the next thing due.
 * @module
 */
import { stepJob } from "./programs.ts";
import type { World } from "./world.ts";

interface Timer {
  readonly dueMs: number;
  readonly fire: () => void;
}

/** One life of the programs on a world: from start to end, crash or cut. */
export interface Runtime {
  readonly world: World;
  /** Steps taken; each can be the last. */
  readonly steps: () => number;
  /** One atomic step of the device. Never answers once the device is dead. */
  readonly op: (name: string) => Promise<void>;
  readonly isDead: () => boolean;
  /** To be called for everything that is no step. */
  readonly noteSign: () => void;
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
  /** Runs until the promise is settled or the device is dead; answers which. */
  readonly drive: (work: Promise<unknown>) => Promise<"done" | "dead" | "stuck">;
}

/** How a life goes. */
export interface RuntimeOptions {
  /** The life ends just before this step, from 1; never where 0. */
  readonly cutAt?: number;
  /** Called before every step, with a number from 1. */
  readonly onStep?: (step: number, name: string) => void;
  /** More virtual time than this means that nothing will come of it. Milliseconds. */
  readonly limitMs?: number;
}

/** A day: longer than all timeouts of a transaction together. */
const LIMIT_MS = 86_400_000;

/**
 * Turns of the microtask queue without a sign of life after which nothing can happen any more by itself. The longest way
 * between two calls of the machine takes 21 turns; three times that is kept.
 */
const QUIET_TURNS = 64;

const NEVER: Promise<never> = new Promise(() => {});

/** Begins a life. */
export function createRuntime(world: World, options: RuntimeOptions = {}): Runtime {
  const { cutAt = 0, onStep, limitMs = LIMIT_MS } = options;
  let timers: Timer[] = [];
  let steps = 0;
  /** Grows with every call of the machine. */
  let signs = 0;
  let dead = false;
  const endMs = world.nowMs + limitMs;

  function op(name: string): Promise<void> {
    if (dead) return NEVER;
    signs += 1;
    steps += 1;
    onStep?.(steps, name);
    if (steps !== cutAt) return Promise.resolve();
    dead = true;
    return NEVER;
  }

  function sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (dead) return NEVER;
    signs += 1;
    if (signal?.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const timer: Timer = { dueMs: world.nowMs + Math.max(0, ms), fire: resolve };
      timers.push(timer);
      signal?.addEventListener("abort", () => {
        timers = timers.filter((one) => one !== timer);
        resolve();
      }, { once: true });
    });
  }

  /** Jumps to the next thing due; false where there is none. */
  function advance(): boolean {
    const job = world.jobs.reduce<World["jobs"][number] | null>(
      (a, b) => a === null || b.dueMs < a.dueMs ? b : a,
      null,
    );
    const timer = timers.reduce<Timer | null>((a, b) => a === null || b.dueMs < a.dueMs ? b : a, null);
    if (job !== null && (timer === null || job.dueMs <= timer.dueMs) && job.dueMs < endMs) {
      world.nowMs = Math.max(world.nowMs, job.dueMs);
      void stepJob({ world, op }, job.pid);
      return true;
    }
    if (timer === null || timer.dueMs > endMs) return false;
    world.nowMs = Math.max(world.nowMs, timer.dueMs);
    timers = timers.filter((one) => one !== timer);
    timer.fire();
    return true;
  }

  /** Lets everything happen that waits for nothing. Everything here is made of promises alone, so turns tell. */
  async function quiet(): Promise<void> {
    let seen = signs;
    for (let turn = 0; turn < QUIET_TURNS && !dead; turn++) {
      await null;
      if (signs !== seen) [seen, turn] = [signs, 0];
    }
  }

  /** Waits a moment of real time for the runtime's own answers, such as the first check of a signature. */
  async function outside(): Promise<boolean> {
    const seen = signs;
    for (let wait = 0; wait < 50 && signs === seen; wait++) await new Promise((resolve) => setTimeout(resolve, 2));
    return signs !== seen;
  }

  async function drive(work: Promise<unknown>): Promise<"done" | "dead" | "stuck"> {
    let settled = false;
    let failure: unknown = null;
    work.then(() => settled = true, (error) => {
      settled = true;
      failure = error;
    });
    for (;;) {
      await quiet();
      if (dead) return "dead";
      if (failure !== null) throw failure;
      if (settled) return "done";
      if (!advance() && !await outside()) return "stuck";
    }
  }

  return { world, steps: () => steps, op, isDead: () => dead, noteSign: () => void signs++, sleep, drive };
}
