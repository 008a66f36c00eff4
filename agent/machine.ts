/**
 * Every decision about a transaction, as one pure function from where the device stands and what happened to where it
 * stands then and what is to be done. The journal is written between the two.
 * @module
 */
import { unreachable } from "@nix-ota/common";
import type { Event, Look } from "./events.ts";
import {
  byHand,
  endRollback,
  giveUp,
  goBackByHand,
  howBack,
  isBack,
  overridden,
  revertAgain,
  reverted,
  revertOnce,
  rollBack,
  type RollbackFrom,
} from "./going_back.ts";
import { accept, beginProbation, confirm, judge, refused } from "./judging.ts";
import type { Situation, State } from "./state.ts";
import {
  ACTIVATIONS_MAX,
  failedBefore,
  finish,
  type In,
  type Policy,
  PROBATIONS_MAX,
  REBOOTS_MAX,
  ROLLBACKS_MAX,
  rolledBack,
  type Step,
  withBad,
  withFloor,
  withLast,
  withMemory,
  WRITES_MAX,
} from "./step.ts";

/** Decides one step. A state that stays the same object needs no journal write. */
export function transition(situation: Situation, event: Event, policy: Policy): Step {
  const [next, effects] = decide(situation, event, policy);
  if (next.state === situation.state) return [next, effects];
  if (next.state.kind === "idle") return [{ ...next, sinceMs: policy.nowMs, writes: 0 }, effects];
  const sinceMs = next.state.kind === situation.state.kind ? situation.sinceMs : policy.nowMs;
  const counted = { ...next, sinceMs, writes: situation.writes + 1 };
  return counted.writes > WRITES_MAX ? breakLoop(counted, policy) : [counted, effects];
}

function decide(situation: Situation, event: Event, policy: Policy): Step {
  switch (event.kind) {
    case "refused":
      return refused(situation, event, policy);
    case "retry-requested":
      return [withMemory(situation, { bad: [], confirmed: null }), []];
    case "log-sent":
      return [withMemory(situation, { unsentLog: null }), []];
    case "nothing-open":
      return [situation, [{ kind: "tidy" }]];
    case "transaction-void":
      return [{ ...situation, state: { kind: "idle" } }, [{ kind: "tidy" }]];
  }
  const { state } = situation;
  switch (state.kind) {
    case "idle":
      return fromIdle(situation, event, policy);
    case "staging":
      return fromStaging(situation, state, event, policy);
    case "staged":
      return fromStaged(situation, state, event, policy);
    case "trial":
      return fromTrial(situation, state, event, policy);
    case "rebooting":
      return fromRebooting(situation, state, event, policy);
    case "probation":
      return fromProbation(situation, state, event, policy);
    case "rolling_back":
      return fromRollingBack(situation, state, event, policy);
    default:
      return unreachable(state);
  }
}

function fromIdle(situation: Situation, event: Event, policy: Policy): Step {
  switch (event.kind) {
    case "offered":
      return accept(situation, event, policy);
    case "rollback-requested":
      return goBackByHand(situation, event.look, policy);
    case "drifted":
      return drifted(situation, policy);
    case "boot-reverted":
      return fellBack(situation, event.look, policy);
    default:
      return [situation, []]; // A late event of a transaction that has ended.
  }
}

/** Someone put another system in force: said once, and left alone. */
function drifted(situation: Situation, policy: Policy): Step {
  const { confirmed, last } = situation.memory;
  if (confirmed === null || last?.reason === "overridden") return [situation, []];
  const outcome = { result: "skipped", reason: "overridden", detail: null } as const;
  return [withLast(situation, { target: confirmed, outcome, policy }), [{ kind: "report" }]];
}

/** A confirmed system did not boot any more and the boot loader took the one that runs: that one stays. */
function fellBack(situation: Situation, look: Look, policy: Policy): Step {
  const { confirmed } = situation.memory;
  if (confirmed === null) return [situation, []];
  return rollBack({ situation, target: confirmed, prev: look.running, policy }, reverted(look));
}

function fromStaging(situation: Situation, state: In<"staging">, event: Event, policy: Policy): Step {
  const { target } = state;
  switch (event.kind) {
    case "stage-succeeded":
      return [{ ...situation, state: { kind: "staged", target } }, [{ kind: "report" }]];
    case "stage-again":
      return [situation, [{ kind: "stage", target }]];
    case "stage-failed":
      return finish(situation, {
        target,
        outcome: event.failure.reason === "superseded"
          ? { result: "skipped", ...event.failure }
          : failedBefore(event.failure),
        remember: event.remember,
        policy,
      });
    case "effect-failed":
      return finish(situation, {
        target,
        outcome: failedBefore({ reason: "interrupted", detail: event.detail }),
        remember: false,
        policy,
      });
    case "offered":
      return event.target.digest === target.digest ? [situation, []] : accept(situation, event, policy);
    case "rollback-requested":
      return goBackByHand(withBad(situation, target, "operator_rollback", policy), event.look, policy);
    default:
      return [situation, []];
  }
}

function fromStaged(situation: Situation, state: In<"staged">, event: Event, policy: Policy): Step {
  const { target } = state;
  switch (event.kind) {
    case "permitted":
      // The permission is for one release; another one is waited for.
      return [situation, event.digest === target.digest ? [{ kind: "prepare", target }] : []];
    case "prepared": {
      const { prev, action, bootId } = event;
      const trial: State = { kind: "trial", target, prev, bootId, attempt: 1, action };
      return [{ ...situation, state: trial }, [{ kind: "report" }, { kind: "apply", target, prev, action }]];
    }
    case "prepare-failed":
      return finish(situation, { target, outcome: failedBefore(event.failure), remember: false, policy });
    case "effect-failed": {
      const failure = { reason: "interrupted", detail: event.detail };
      return finish(situation, { target, outcome: failedBefore(failure), remember: false, policy });
    }
    case "offered":
      return event.target.digest === target.digest ? [situation, []] : accept(situation, event, policy);
    case "rollback-requested":
      return goBackByHand(withBad(situation, target, "operator_rollback", policy), event.look, policy);
    default:
      return [situation, []];
  }
}

function fromTrial(situation: Situation, state: In<"trial">, event: Event, policy: Policy): Step {
  const { target, prev, action } = state;
  const ctx: RollbackFrom = { situation, target, prev, policy };
  switch (event.kind) {
    case "applied":
      return judge(situation, state, event, policy);
    case "switch-running":
      return [situation, [{ kind: "await-switch", target }]];
    case "trial-cut":
      if (state.attempt < ACTIVATIONS_MAX) return [situation, [{ kind: "prepare", target }]];
      return rollBack(ctx, {
        how: howBack(action, prev, event.look),
        outcome: rolledBack({ reason: event.newBoot ? "power_lost" : "interrupted", detail: null }),
        remember: event.newBoot,
        bootId: event.look.bootId,
      });
    case "prepared": {
      // What ran before the first attempt stays the way back, whatever runs now.
      const again: State = { ...state, bootId: event.bootId, action: event.action, attempt: state.attempt + 1 };
      return [{ ...situation, state: again }, [{ kind: "apply", target, prev, action: event.action }]];
    }
    case "prepare-failed":
      return rollBack(ctx, {
        how: "switch",
        outcome: rolledBack(event.failure),
        remember: false,
        bootId: state.bootId,
      });
    case "booted-target":
      return beginProbation(situation, { ...state, attempt: 0, bootId: event.look.bootId, warnings: false });
    case "effect-failed": {
      const failure = { reason: "switch_failed", detail: event.detail };
      return rollBack(ctx, {
        how: howBack(action, prev, event.look),
        outcome: rolledBack(failure),
        remember: true,
        bootId: event.look.bootId,
      });
    }
    case "overridden":
      return overridden(ctx, event.look);
    case "rollback-requested":
      return rollBack(ctx, byHand(howBack(action, prev, event.look), event.look));
    default:
      return [situation, []];
  }
}

function fromRebooting(situation: Situation, state: In<"rebooting">, event: Event, policy: Policy): Step {
  const { target, prev } = state;
  const ctx: RollbackFrom = { situation, target, prev, policy };
  switch (event.kind) {
    case "still-waiting":
      if (target.mode !== "reboot" || !policy.canReboot || state.attempt >= REBOOTS_MAX) return [situation, []];
      return [{ ...situation, state: { ...state, attempt: state.attempt + 1 } }, [{ kind: "reboot" }]];
    case "booted-target":
      return beginProbation(situation, { ...state, attempt: 0, bootId: event.look.bootId, warnings: false });
    case "boot-reverted":
      return rollBack(ctx, reverted(event.look));
    case "overridden":
      return overridden(ctx, event.look);
    case "offered": {
      if (event.target.digest === target.digest) return [situation, []];
      const known = withFloor(situation, event, policy);
      if (event.target.storePath === target.storePath) {
        return [{ ...known, state: { ...state, target: event.target } }, [{ kind: "report" }]];
      }
      // The boot default goes back first; the newer release is offered again at once.
      return rollBack({ ...ctx, situation: known }, {
        how: howBack("boot", prev, event.look),
        outcome: { result: "skipped", reason: "superseded", detail: null },
        remember: false,
        bootId: event.look.bootId,
      });
    }
    case "rollback-requested":
      return rollBack(ctx, byHand(howBack("boot", prev, event.look), event.look));
    default:
      return [situation, []]; // Also a reboot that could not be asked for: then a person's is waited for.
  }
}

function fromProbation(situation: Situation, state: In<"probation">, event: Event, policy: Policy): Step {
  const { target, prev } = state;
  const ctx: RollbackFrom = { situation, target, prev, policy };
  switch (event.kind) {
    case "healthy":
      return event.look.running === target.storePath ? confirm(situation, state, policy) : overridden(ctx, event.look);
    case "unhealthy":
      return rollBack(ctx, {
        how: "switch",
        outcome: rolledBack(event.failure),
        remember: true,
        bootId: event.look.bootId,
      });
    case "effect-failed":
      return rollBack(ctx, {
        how: "switch",
        outcome: rolledBack({ reason: "health_failed", detail: event.detail }),
        remember: true,
        bootId: event.look.bootId,
      });
    case "probe-again":
      if (state.attempt >= PROBATIONS_MAX) {
        const failure = {
          reason: "health_failed",
          detail: "the device or its agent restarted during the health check",
        };
        return rollBack(ctx, {
          how: "switch",
          outcome: rolledBack(failure),
          remember: true,
          bootId: event.look.bootId,
        });
      }
      return beginProbation(situation, { ...state, bootId: event.look.bootId });
    case "boot-reverted":
      return rollBack(ctx, reverted(event.look));
    case "gone-back":
      return rollBack(ctx, byHand("switch", event.look));
    case "overridden":
      return overridden(ctx, event.look);
    case "rollback-requested":
      return rollBack(ctx, byHand("switch", event.look));
    default:
      return [situation, []];
  }
}

function fromRollingBack(situation: Situation, state: In<"rolling_back">, event: Event, policy: Policy): Step {
  switch (event.kind) {
    case "reverted":
      if (isBack(state, event.look)) return endRollback(situation, state, policy);
      if (state.how === "boot" && event.look.profile === state.prev && policy.canReboot) {
        return [situation, [{ kind: "report" }, { kind: "reboot" }]]; // The last way home leads through a boot.
      }
      return revertOnce(situation, state, { detail: event.detail, look: event.look, policy });
    case "revert-again":
      if (isBack(state, event.look) && event.look.bootId !== state.bootId) return endRollback(situation, state, policy);
      // Within one boot the agent was cut off, which says nothing against the way back: the same attempt, from its start.
      if (event.look.bootId === state.bootId) return revertAgain(situation, state);
      return revertOnce(situation, state, { detail: null, look: event.look, policy });
    case "effect-failed":
      return revertOnce(situation, state, { detail: event.detail, look: event.look, policy });
    case "reboot-failed":
      return giveUp(situation, state, event.detail, policy);
    default:
      return [situation, []];
  }
}

function breakLoop(situation: Situation, policy: Policy): Step {
  const { state } = situation;
  if (state.kind === "idle") return [situation, []];
  const { target } = state;
  const failure = { reason: "loop_detected", detail: `after ${situation.writes} steps` };
  switch (state.kind) {
    case "staging":
    case "staged":
      return finish(situation, { target, outcome: failedBefore(failure), remember: true, policy });
    case "rolling_back":
      return giveUp(situation, state, failure.detail, policy);
    default: {
      // The way back has its own, smaller limit.
      const counted = { ...situation, writes: WRITES_MAX - 2 * ROLLBACKS_MAX };
      const plan = { how: "switch", outcome: rolledBack(failure), remember: true, bootId: state.bootId } as const;
      return rollBack({ situation: counted, target, prev: state.prev, policy }, plan);
    }
  }
}
