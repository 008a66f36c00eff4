/**
 * The machine's verdicts: on an offer, on an activation, on a probation.
 * @module
 */
import type { Event, Look, SwitchEnd } from "./events.ts";
import { howBack, rollBack } from "./going_back.ts";
import type { Outcome, Return, Situation, State } from "./state.ts";
import {
  clean,
  finish,
  type In,
  isBad,
  type Policy,
  rolledBack,
  type Step,
  withFloor,
  withLast,
  withMemory,
} from "./step.ts";

/** Takes a verified release on, unless the device runs it already or it failed here before. */
export function accept(situation: Situation, event: Extract<Event, { kind: "offered" }>, policy: Policy): Step {
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

export function refused(situation: Situation, event: Extract<Event, { kind: "refused" }>, policy: Policy): Step {
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
export function judge(
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

export function awaitBoot(situation: Situation, trial: Omit<In<"rebooting">, "kind">, policy: Policy): Step {
  const { target, prev, bootId, attempt, reason } = trial;
  const outcome: Outcome = { result: "pending_reboot", reason: null, detail: null };
  const next: Situation = {
    ...withLast(situation, { target, outcome, policy }),
    state: { kind: "rebooting", target, prev, bootId, attempt, reason },
  };
  const reboots = target.mode === "reboot" && policy.canReboot;
  return [next, [{ kind: "report" }, ...(reboots ? [{ kind: "reboot" } as const] : [])]];
}

export function beginProbation(situation: Situation, trial: Omit<In<"probation">, "kind">): Step {
  const { target, prev, bootId, attempt, warnings } = trial;
  const state: State = { kind: "probation", target, prev, bootId, attempt: attempt + 1, warnings };
  return [{ ...situation, state }, [{ kind: "report" }, { kind: "probe", target }]];
}

export function confirm(situation: Situation, state: In<"probation">, policy: Policy): Step {
  const { target, prev, warnings } = state;
  const previous = prev === target.storePath ? situation.memory.previous : prev;
  const outcome: Outcome = {
    result: warnings ? "succeeded_with_warnings" : "succeeded",
    reason: null,
    detail: warnings ? "the activation ended with failed units; the health check passed" : null,
  };
  return finish(withMemory(situation, { confirmed: target, previous }), { target, outcome, remember: false, policy });
}
