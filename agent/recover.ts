/**
 * What a restart means: from the journal and one look at the device to one event. Nothing is replayed here; the machine
 * decides what an event leads to.
 * @module
 */
import { unreachable } from "@nix-ota/common";
import type { Event, Look } from "./events.ts";
import type { Memory, Situation, State } from "./state.ts";

/** What became of the `switch-to-configuration` that the last life of the agent started in this boot. */
export type SwitchJob =
  | { readonly kind: "none" }
  | { readonly kind: "running" }
  | { readonly kind: "exited"; readonly code: number };

/** What is seen at start. */
export interface Facts {
  readonly look: Look;
  readonly job: SwitchJob;
  /** The channel that the configuration names now. */
  readonly channel: string;
}

type In<K extends State["kind"]> = Extract<State, { kind: K }>;

/** Decides what happened while the agent was away. */
export function recover({ state, memory }: Situation, facts: Facts): Event {
  switch (state.kind) {
    case "idle":
      return recoverIdle(memory, facts);
    case "staging":
      // A fetch can begin again at any time, unless the device was moved to another channel meanwhile.
      return state.target.channel === facts.channel ? { kind: "stage-again" } : { kind: "transaction-void" };
    case "staged":
      // All is fetched; the permission to activate is asked for again.
      return state.target.channel === facts.channel ? { kind: "nothing-open" } : { kind: "transaction-void" };
    case "trial":
      return recoverTrial(state, facts);
    case "rebooting":
      return recoverRebooting(state, facts);
    case "probation":
      return recoverProbation(state, facts);
    case "rolling_back":
      // The way back is gone until the previous system is seen to run.
      return { kind: "revert-again", look: facts.look };
    default:
      return unreachable(state);
  }
}

function recoverIdle({ confirmed }: Memory, { look }: Facts): Event {
  const { running, booted, profile } = look;
  // The confirmed system is the profile, and the machine booted another one: the boot loader fell back.
  if (
    confirmed !== null && profile === confirmed.storePath && running !== profile && running !== null &&
    running === booted
  ) {
    return { kind: "boot-reverted", look };
  }
  // No transaction was open: whatever the device runs is not this program's doing.
  return { kind: "nothing-open" };
}

function recoverTrial({ target, prev, bootId }: In<"trial">, { look, job }: Facts): Event {
  const newBoot = look.bootId !== bootId;
  // Someone put a third system in force.
  if (isThird(look.running, target.storePath, prev)) return { kind: "overridden", look };
  if (newBoot) {
    // The boot loader was installed before the power went, and the device came up with the target.
    if (look.booted === target.storePath && look.running === target.storePath) return { kind: "booted-target", look };
    // It came up with the previous system: the activation was cut off or never began.
    return { kind: "trial-cut", look, newBoot };
  }
  switch (job.kind) {
    case "running":
      // The switch outlived the agent and goes on.
      return { kind: "switch-running" };
    case "exited":
      // The switch outlived the agent and left its exit code.
      return { kind: "applied", end: { kind: "exited", code: job.code }, look, detail: null };
    case "none":
      // It never began, or it was killed as well.
      return { kind: "trial-cut", look, newBoot };
  }
}

function recoverRebooting({ target, prev, bootId }: In<"rebooting">, { look }: Facts): Event {
  // Nothing rebooted yet.
  if (look.bootId === bootId) return { kind: "still-waiting" };
  // The boot loader took the new system.
  if (look.booted === target.storePath && look.running === target.storePath) return { kind: "booted-target", look };
  // The boot loader took or fell back to the previous system.
  if (look.running === prev) return { kind: "boot-reverted", look };
  // Someone put a third system in force.
  return { kind: "overridden", look };
}

function recoverProbation({ target, prev, bootId }: In<"probation">, { look }: Facts): Event {
  // The target still runs, or runs again: its health is looked at again.
  if (look.running === target.storePath) return { kind: "probe-again", look };
  if (look.running !== prev) return { kind: "overridden", look };
  // After a reboot the previous system runs: the boot loader fell back.
  if (look.bootId !== bootId) return { kind: "boot-reverted", look };
  // Within one boot only a person goes back.
  return { kind: "gone-back", look };
}

function isThird(running: string | null, target: string, prev: string | null): boolean {
  return running !== null && running !== target && running !== prev;
}
