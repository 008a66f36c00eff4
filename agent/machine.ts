/**
 * Every decision about a transaction, as one pure function from where the device stands and what happened to where it
 * stands then and what is to be done. The journal is written between the two.
 * @module
 */
import { cleanLine, REASON_PATTERN, unreachable } from "@nix-ota/common";
import type { Effect, Event, Failure, Look, SwitchEnd } from "./events.ts";
import {
  BAD_RELEASES_MAX,
  type Deployment,
  floorKey,
  type Memory,
  type Outcome,
  type Return,
  type Situation,
  type State,
} from "./state.ts";

/** What the machine decides by besides the journal. */
export interface Policy {
  readonly fleet: string;
  readonly channel: string;
  readonly nowMs: number;
  /** Whether the agent can restart the machine. */
  readonly canReboot: boolean;
}

/** Where the device stands then, and what is to be done, in order. */
export type Step = readonly [Situation, readonly Effect[]];

/** Times that a target is activated before the agent goes back: once, and once more after a crash or power cut. */
export const ACTIVATIONS_MAX = 2;
/** Times that a probation is begun: protocol 7. */
export const PROBATIONS_MAX = 3;
/** Times that the way back is tried. */
export const ROLLBACKS_MAX = 3;
/** Times that a reboot is asked for. */
export const REBOOTS_MAX = 3;
/**
 * Journal writes of one transaction before the loop breaker ends it: a transaction in which every step has to be tried
 * as often as it may be needs 14. Mender's limit for the same purpose is 28.
 */
export const WRITES_MAX = 30;

type In<K extends State["kind"]> = Extract<State, { kind: K }>;

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
      return [withMemory(situation, { bad: [] }), []];
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
    default:
      return [situation, []]; // A late event of a transaction that has ended.
  }
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
        outcome: failedBefore(event.failure),
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
      return goBackByHand(situation, event.look, policy);
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
      return goBackByHand(situation, event.look, policy);
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
      return revertOnce(situation, state, { detail: null, look: event.look, policy });
    case "effect-failed":
      return revertOnce(situation, state, { detail: event.detail, look: event.look, policy });
    case "reboot-failed":
      return giveUp(situation, state, event.detail, policy);
    default:
      return [situation, []];
  }
}

/** Takes a verified release on, unless the device runs it already or it failed here before. */
function accept(situation: Situation, event: Extract<Event, { kind: "offered" }>, policy: Policy): Step {
  const { target, look } = event;
  const known = withFloor(situation, event, policy);
  if (isBad(situation.memory, target.digest)) {
    const kept = situation.memory.last;
    // What happened to it is worth more than that it is not tried again.
    if (kept?.release?.digest === target.digest) return [{ ...known, state: { kind: "idle" } }, []];
    const outcome: Outcome = { result: "refused", reason: "bad_release", detail: null };
    return finish(known, { target, outcome, remember: false, policy });
  }
  if (look.running === target.storePath && look.profile === target.storePath) {
    const confirmed = withMemory(known, { confirmed: target });
    const outcome: Outcome = { result: "succeeded", reason: "already_running", detail: null };
    return finish(confirmed, { target, outcome, remember: false, policy });
  }
  return [{ ...known, state: { kind: "staging", target } }, [{ kind: "report" }, { kind: "stage", target }]];
}

function refused(situation: Situation, event: Extract<Event, { kind: "refused" }>, policy: Policy): Step {
  const { release, failure } = event;
  const { last } = situation.memory;
  if (last?.result === "refused" && last.reason === failure.reason && last.release?.digest === release?.digest) {
    return [situation, []]; // Said already: a server that offers it every minute does not wear the disk out.
  }
  const about = release === null ? null : { ...release, storePath: null };
  const outcome = clean({ result: "refused", ...failure });
  return [withMemory(situation, { last: { ...outcome, release: about, atMs: policy.nowMs } }), [{ kind: "report" }]];
}

/** Judges an activation: by what runs, and by the exit code only where what runs is right. */
function judge(
  situation: Situation,
  state: In<"trial">,
  { end, look, detail }: Extract<Event, { kind: "applied" }>,
  policy: Policy,
): Step {
  const { target, prev, action } = state;
  const verdict = judgeSwitch(state, end, look);
  if (verdict === "running") {
    return beginProbation(situation, { ...state, attempt: 0, warnings: end.kind === "exited" && end.code !== 0 });
  }
  if (verdict === "next-boot") return awaitBoot(situation, { ...state, attempt: 1, reason: null }, policy);
  const how: Return = end.kind === "profile-failed" ? "profile" : howBack(action, prev, look);
  return rollBack({ situation, target, prev, policy }, {
    how,
    outcome: rolledBack({ reason: verdict, detail }),
    remember: verdict !== "switch_busy" && verdict !== "profile_failed",
    bootId: look.bootId,
  });
}

/** What `switch-to-configuration` did: `running`, `next-boot`, or the reason to go back. */
export function judgeSwitch(
  { target, action }: Pick<In<"trial">, "target" | "action">,
  end: SwitchEnd,
  look: Look,
): string {
  switch (end.kind) {
    case "profile-failed":
      return "profile_failed";
    case "busy":
      return "switch_busy";
    case "timed-out":
      return "switch_timeout";
    case "vanished":
      return "switch_failed:it was killed";
    case "exited":
      break;
  }
  if (look.profile !== target.storePath) return "switch_no_effect:the profile is another one";
  // 100: the boot loader is installed, but this system can only be booted into.
  if (end.code === 100) return "next-boot";
  if (action === "boot") return end.code === 0 ? "next-boot" : `switch_failed:exit ${end.code}`;
  // 4: activated, and a unit is failed, perhaps one that was before; the health check decides.
  if (end.code !== 0 && end.code !== 4) return `switch_failed:exit ${end.code}`;
  return look.running === target.storePath ? "running" : "switch_no_effect";
}

function awaitBoot(situation: Situation, trial: Omit<In<"rebooting">, "kind">, policy: Policy): Step {
  const { target, prev, bootId, attempt, reason } = trial;
  const outcome: Outcome = { result: "pending_reboot", reason: null, detail: null };
  const next: Situation = {
    ...withLast(situation, { target, outcome, policy }),
    state: { kind: "rebooting", target, prev, bootId, attempt, reason },
  };
  const reboots = target.mode === "reboot" && policy.canReboot;
  return [next, [{ kind: "report" }, ...(reboots ? [{ kind: "reboot" } as const] : [])]];
}

function beginProbation(situation: Situation, trial: Omit<In<"probation">, "kind">): Step {
  const { target, prev, bootId, attempt, warnings } = trial;
  const state: State = { kind: "probation", target, prev, bootId, attempt: attempt + 1, warnings };
  return [{ ...situation, state }, [{ kind: "report" }, { kind: "probe", target }]];
}

function confirm(situation: Situation, state: In<"probation">, policy: Policy): Step {
  const { target, prev, warnings } = state;
  const previous = prev === target.storePath ? situation.memory.previous : prev;
  const outcome: Outcome = {
    result: warnings ? "succeeded_with_warnings" : "succeeded",
    reason: null,
    detail: warnings ? "the activation ended with failed units; the health check passed" : null,
  };
  return finish(withMemory(situation, { confirmed: target, previous }), { target, outcome, remember: false, policy });
}

/** Where a rollback starts from. */
interface RollbackFrom {
  readonly situation: Situation;
  readonly target: Deployment;
  readonly prev: string | null;
  readonly policy: Policy;
}

interface RollbackPlan {
  readonly how: Return;
  readonly outcome: Outcome;
  readonly remember: boolean;
  readonly bootId: string;
}

function rollBack({ situation, target, prev, policy }: RollbackFrom, plan: RollbackPlan): Step {
  if (prev === null) {
    const detail = `${plan.outcome.reason ?? "it failed"}, and no system is known that ran before`;
    const outcome: Outcome = { result: "rollback_failed", reason: "rollback_failed", detail };
    return finish(situation, { target, outcome, remember: plan.remember, policy });
  }
  const state: State = { kind: "rolling_back", target, prev, attempt: 1, ...plan, outcome: clean(plan.outcome) };
  return [{ ...situation, state }, [{ kind: "report" }, { kind: "revert", target, prev, how: plan.how }]];
}

/** One more attempt at the way back; the last one goes through the boot loader where the agent can reboot. */
function revertOnce(
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

/** Whether the device is back on the previous system, by looking. */
function isBack(state: In<"rolling_back">, look: Look): boolean {
  return look.running === state.prev && look.profile === state.prev;
}

function endRollback(situation: Situation, state: In<"rolling_back">, policy: Policy): Step {
  const { target, outcome, remember } = state;
  const { memory } = situation;
  // Going back from a confirmed release: what ran before it is known, what ran before that is not.
  const undone = memory.confirmed?.digest === target.digest ? { confirmed: null, previous: null } : {};
  return finish(withMemory(situation, undone), { target, outcome, remember, policy });
}

function giveUp(situation: Situation, state: In<"rolling_back">, detail: string | null, policy: Policy): Step {
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
function goBackByHand(situation: Situation, look: Look, policy: Policy): Step {
  const { previous, confirmed } = situation.memory;
  if (previous === null || confirmed === null) {
    const last = { result: "refused", reason: "no_previous_system", detail: null } as const;
    return [
      withMemory(situation, { last: { ...last, release: null, atMs: policy.nowMs } }),
      [{ kind: "report" }],
    ];
  }
  return rollBack({ situation, target: confirmed, prev: previous, policy }, byHand("switch", look));
}

function byHand(how: Return, look: Look): RollbackPlan {
  const outcome: Outcome = { result: "rolled_back", reason: "operator_rollback", detail: null };
  return { how, outcome, remember: true, bootId: look.bootId };
}

function reverted(look: Look): RollbackPlan {
  return {
    how: "boot",
    outcome: { result: "rolled_back", reason: "reboot_reverted", detail: null },
    remember: true,
    bootId: look.bootId,
  };
}

/** Someone put a third system in force: it stays, but an unconfirmed target is not left as the boot default. */
function overridden(from: RollbackFrom, look: Look): Step {
  const { situation, target, policy } = from;
  const outcome: Outcome = { result: "skipped", reason: "overridden", detail: null };
  if (look.profile !== target.storePath) return finish(situation, { target, outcome, remember: false, policy });
  return rollBack(from, { how: "switch", outcome, remember: false, bootId: look.bootId });
}

/** A target for the next boot is taken back without touching what runs, where the previous system runs. */
function howBack(action: "switch" | "boot", prev: string | null, look: Look): Return {
  return action === "boot" && look.running === prev ? "boot" : "switch";
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

/** Ends the transaction. */
function finish(
  situation: Situation,
  { target, outcome, remember, policy }: {
    target: Deployment;
    outcome: Outcome;
    remember: boolean;
    policy: Policy;
  },
): Step {
  const noted = withLast(situation, { target, outcome, policy });
  const reason = outcome.reason ?? outcome.result;
  const bad = remember
    ? [
      ...noted.memory.bad.filter(({ digest }) => digest !== target.digest),
      { digest: target.digest, reason: reasonOf(reason), atMs: policy.nowMs },
    ].slice(-BAD_RELEASES_MAX)
    : noted.memory.bad;
  const logged = outcome.result === "rolled_back" || outcome.result === "rollback_failed";
  const ended = withMemory(noted, { bad, ...(logged ? { unsentLog: target } : {}) });
  return [
    { ...ended, state: { kind: "idle" } },
    [{ kind: "tidy" }, { kind: "report" }],
  ];
}

function withLast(
  situation: Situation,
  { target, outcome, policy }: { target: Deployment; outcome: Outcome; policy: Policy },
): Situation {
  const { revision, digest, storePath } = target;
  return withMemory(situation, {
    last: { ...clean(outcome), release: { revision, digest, storePath }, atMs: policy.nowMs },
  });
}

function withMemory(situation: Situation, changed: Partial<Memory>): Situation {
  return { ...situation, memory: { ...situation.memory, ...changed } };
}

/** Remembers the highest verified revision and the latest time that a signature proves (protocol 2.3, 2.4). */
function withFloor(
  situation: Situation,
  { target, issuedMs }: { target: Deployment; issuedMs: number },
  policy: Policy,
): Situation {
  const { floors, timeFloorMs } = situation.memory;
  const { revision, digest } = target;
  const key = floorKey({ fleet: policy.fleet, channel: target.channel });
  const floor = floors[key];
  const higher = floor === undefined || revision > floor.revision;
  return withMemory(situation, {
    floors: higher ? { ...floors, [key]: { revision, digest } } : floors,
    timeFloorMs: Math.max(timeFloorMs, issuedMs),
  });
}

/** Whether a release failed here before. */
export function isBad(memory: Memory, digest: string): boolean {
  return memory.bad.some((bad) => bad.digest === digest);
}

function failedBefore({ reason, detail }: Failure): Outcome {
  return { result: "failed_before_activation", reason, detail };
}

function rolledBack({ reason, detail }: Failure): Outcome {
  return { result: "rolled_back", reason, detail };
}

/** A reason in the form that check-ins carry. */
export function reasonOf(text: string): string {
  const line = cleanLine(text, 240).replaceAll(/[^\x20-\x7e]/g, "?");
  return REASON_PATTERN.test(line) ? line : "interrupted";
}

function clean({ result, reason, detail }: Outcome): Outcome {
  return {
    result,
    reason: reason === null ? null : reasonOf(reason),
    detail: detail === null ? null : cleanLine(detail, 2048),
  };
}
