/**
 * The parts of a step that all of the machine shares: what it decides by, its limits, and how a transaction ends.
 * @module
 */
import { cleanLine, REASON_PATTERN } from "@nix-ota/common";
import type { Effect, Failure } from "./events.ts";
import {
  BAD_RELEASES_MAX,
  type Deployment,
  floorKey,
  type Memory,
  type Outcome,
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

/** One kind of state. */
export type In<K extends State["kind"]> = Extract<State, { kind: K }>;

/** Ends the transaction. */
export function finish(
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
  const marked = remember ? withBad(noted, target, reason, policy) : noted;
  const logged = outcome.result === "rolled_back" || outcome.result === "rollback_failed";
  const ended = logged ? withMemory(marked, { unsentLog: target }) : marked;
  return [
    { ...ended, state: { kind: "idle" } },
    [{ kind: "tidy" }, { kind: "report" }],
  ];
}

/** Remembers a release as bad: it is never tried again by itself. */
export function withBad(situation: Situation, { digest }: Deployment, reason: string, policy: Policy): Situation {
  const others = situation.memory.bad.filter((one) => one.digest !== digest);
  const bad = [...others, { digest, reason: reasonOf(reason), atMs: policy.nowMs }].slice(-BAD_RELEASES_MAX);
  return withMemory(situation, { bad });
}

export function withLast(
  situation: Situation,
  { target, outcome, policy }: { target: Deployment; outcome: Outcome; policy: Policy },
): Situation {
  const { revision, digest, storePath } = target;
  return withMemory(situation, {
    last: { ...clean(outcome), release: { revision, digest, storePath }, atMs: policy.nowMs },
  });
}

export function withMemory(situation: Situation, changed: Partial<Memory>): Situation {
  return { ...situation, memory: { ...situation.memory, ...changed } };
}

/** Remembers the highest verified revision and the latest time that a signature proves (protocol 2.3, 2.4). */
export function withFloor(
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

export function failedBefore({ reason, detail }: Failure): Outcome {
  return { result: "failed_before_activation", reason, detail };
}

export function rolledBack({ reason, detail }: Failure): Outcome {
  return { result: "rolled_back", reason, detail };
}

/** Longest text that a reason carries after its code. */
const ABOUT_MAX = 200;

/** A reason in the form that check-ins carry: what it is about is cut and made ASCII, and left out where nothing is left. */
export function reasonOf(text: string): string {
  const [code = "", ...rest] = text.split(":");
  const about = cleanLine(rest.join(":"), ABOUT_MAX).replaceAll(/[^\x20-\x7e]/g, "?");
  const reason = about === "" ? code : `${code}:${about}`;
  return REASON_PATTERN.test(reason) ? reason : "interrupted";
}

export function clean({ result, reason, detail }: Outcome): Outcome {
  return {
    result,
    reason: reason === null ? null : reasonOf(reason),
    detail: detail === null ? null : cleanLine(detail, 2048),
  };
}
