/**
 * Small values that many tests of the agent need.
 * @module
 */
import type { Look } from "../events.ts";
import { type Deployment, EMPTY_MEMORY, type Memory, type Situation, type State } from "../state.ts";
import type { Policy } from "../step.ts";
import { fakePath } from "./world.ts";

export const OLD: string = fakePath("nixos-system-old");
export const NEW: string = fakePath("nixos-system-new");
export const THIRD: string = fakePath("nixos-system-third");

/** A digest that is told apart by one digit. */
export function digest(digit: string): string {
  return `sha256:${digit.repeat(64)}`;
}

/** Revision 7, for {@link NEW}. */
export const TARGET: Deployment = {
  channel: "prod",
  revision: 7,
  digest: digest("7"),
  storePath: NEW,
  mode: "auto",
  healthSeconds: 30,
};

export const POLICY: Policy = { fleet: "default", channel: "prod", nowMs: 1_000_000, canReboot: false };

/** A look at a device that runs {@link OLD} in boot 1. */
export function look(changes: Partial<Look> = {}): Look {
  return { running: OLD, booted: OLD, profile: OLD, bootId: "boot-1", ...changes };
}

/** A situation in a state, entered at 0. */
export function situationIn(state: State, memory: Partial<Memory> = {}): Situation {
  return { state, sinceMs: 0, writes: state.kind === "idle" ? 0 : 1, memory: { ...EMPTY_MEMORY, ...memory } };
}

/** What a trial, a wait for a reboot and a probation share. */
export const TRIAL = { target: TARGET, prev: OLD, bootId: "boot-1", attempt: 1 } as const;
