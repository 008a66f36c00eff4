/**
 * The machine's ways back: always to the recorded system that really ran before, never "one generation back".
 * @module
 */
import type { Look } from "./events.ts";
import { clean, finish, type In, type Policy, ROLLBACKS_MAX, type Step, withMemory } from "./step.ts";
import type { Deployment, Outcome, Return, Situation, State } from "./state.ts";

/** Where a rollback starts from. */
export interface RollbackFrom {
  readonly situation: Situation;
  readonly target: Deployment;
  readonly prev: string | null;
  readonly policy: Policy;
}

export interface RollbackPlan {
  readonly how: Return;
  readonly outcome: Outcome;
  readonly remember: boolean;
  readonly bootId: string;
}

export function rollBack({ situation, target, prev, policy }: RollbackFrom, plan: RollbackPlan): Step {
  if (prev === null) {
    const detail = `${plan.outcome.reason ?? "it failed"}, and no system is known that ran before`;
    const outcome: Outcome = { result: "rollback_failed", reason: "rollback_failed", detail };
    return finish(situation, { target, outcome, remember: plan.remember, policy });
  }
  const state: State = { kind: "rolling_back", target, prev, attempt: 1, ...plan, outcome: clean(plan.outcome) };
  return [{ ...situation, state }, [{ kind: "report" }, { kind: "revert", target, prev, how: plan.how }]];
}

/** One more attempt at the way back; the last one goes through the boot loader where the agent can reboot. */
export function revertOnce(
  situation: Situation,
  state: In<"rolling_back">,
  { detail, look, policy }: { detail: string | null; look: Look; policy: Policy },
): Step {
  if (state.attempt >= ROLLBACKS_MAX) return giveUp(situation, state, detail, policy);
  const attempt = state.attempt + 1;
  const how = attempt === ROLLBACKS_MAX && policy.canReboot && state.how === "switch" ? "boot" : state.how;
  const { target, prev } = state;
  const next: State = { ...state, attempt, how, bootId: look.bootId };
  if (prev === null) return giveUp(situation, state, detail, policy);
  return [{ ...situation, state: next }, [{ kind: "revert", target, prev, how }]];
}

/** The attempt that was cut off, once more. It counts as a step, so that the loop breaker ends what is cut off for ever. */
export function revertAgain(situation: Situation, state: In<"rolling_back">): Step {
  const { target, prev, how } = state;
  if (prev === null) return [situation, []];
  return [{ ...situation, state: { ...state } }, [{ kind: "revert", target, prev, how }]];
}

/** Whether the device is back on the previous system, by looking. */
export function isBack(state: In<"rolling_back">, look: Look): boolean {
  return look.running === state.prev && look.profile === state.prev;
}

export function endRollback(situation: Situation, state: In<"rolling_back">, policy: Policy): Step {
  const { target, outcome, remember } = state;
  const { memory } = situation;
  // Going back from a confirmed release: what ran before it is known, what ran before that is not.
  const undone = memory.confirmed?.digest === target.digest ? { confirmed: null, previous: null } : {};
  return finish(withMemory(situation, undone), { target, outcome, remember, policy });
}

export function giveUp(situation: Situation, state: In<"rolling_back">, detail: string | null, policy: Policy): Step {
  const { target, prev, outcome } = state;
  const why = `after ${outcome.reason ?? "a request"}: could not go back to ${prev ?? "nothing"}`;
  const failed: Outcome = {
    result: "rollback_failed",
    reason: "rollback_failed",
    detail: detail === null ? why : `${why}: ${detail}`,
  };
  return finish(situation, { target, outcome: failed, remember: true, policy });
}

/** A person asked to go back while no target is on trial: to the recorded previous system. */
export function goBackByHand(situation: Situation, look: Look, policy: Policy): Step {
  const { previous, confirmed } = situation.memory;
  if (previous === null || confirmed === null) {
    // A request that was obeyed, and cut off before its note was removed.
    if (situation.memory.last?.reason === "operator_rollback") return [situation, []];
    const last = { result: "refused", reason: "no_previous_system", detail: null } as const;
    return [
      withMemory(situation, { last: { ...last, release: null, atMs: policy.nowMs } }),
      [{ kind: "report" }],
    ];
  }
  return rollBack({ situation, target: confirmed, prev: previous, policy }, byHand("switch", look));
}

export function byHand(how: Return, look: Look): RollbackPlan {
  const outcome: Outcome = { result: "rolled_back", reason: "operator_rollback", detail: null };
  return { how, outcome, remember: true, bootId: look.bootId };
}

export function reverted(look: Look): RollbackPlan {
  return {
    how: "boot",
    outcome: { result: "rolled_back", reason: "reboot_reverted", detail: null },
    remember: true,
    bootId: look.bootId,
  };
}

/** Someone put a third system in force: it stays, but an unconfirmed target is not left as the boot default. */
export function overridden(from: RollbackFrom, look: Look): Step {
  const { situation, target, policy } = from;
  const outcome: Outcome = { result: "skipped", reason: "overridden", detail: null };
  if (look.profile !== target.storePath) return finish(situation, { target, outcome, remember: false, policy });
  return rollBack(from, { how: "switch", outcome, remember: false, bootId: look.bootId });
}

/** A target for the next boot is taken back without touching what runs, where the previous system runs. */
export function howBack(action: "switch" | "boot", prev: string | null, look: Look): Return {
  return action === "boot" && look.running === prev ? "boot" : "switch";
}
