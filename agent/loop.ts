/**
 * Settling: decide, write the journal, then act, until nothing is left to do.
 * @module
 */
import { messageOf } from "@nix-ota/common";
import type { Effect, Event, Look } from "./events.ts";
import type { Journal } from "./journal.ts";
import { transition } from "./machine.ts";
import type { Policy } from "./step.ts";
import type { Situation } from "./state.ts";

/** What settling needs. */
export interface Settling {
  readonly journal: Journal;
  readonly policy: () => Policy;
  /** Runs one effect; answers with what came of it, or null where nothing follows. */
  readonly runEffect: (effect: Effect, situation: Situation) => Promise<Event | null>;
  readonly look: () => Promise<Look>;
  /** Called after every durable change. */
  readonly onChange: (situation: Situation, event: Event) => void;
  /** Stops between two effects when it fires. */
  readonly signal: AbortSignal;
}

/**
 * Feeds an event to the machine and carries out what it asks for. Every change is durable before the first effect of
 * the step is run, so that whatever is cut off, the journal says what was about to happen.
 *
 * @returns Where the device stands then.
 * @throws Whatever writing the journal throws; no effect of that step was run then.
 */
export async function settle(situation: Situation, first: Event, settling: Settling): Promise<Situation> {
  const { journal, policy, runEffect, onChange, signal } = settling;
  const events: Event[] = [first];
  let current = situation;
  for (let event = events.shift(); event !== undefined; event = events.shift()) {
    const [next, effects] = transition(current, event, policy());
    if (next !== current) await journal.write(next);
    current = next;
    onChange(current, event);
    for (const effect of effects) {
      if (signal.aborted) return current;
      const outcome = await runOne(effect, current, { runEffect, look: settling.look });
      if (signal.aborted) return current; // What an interrupted effect says is not news; the next start looks.
      if (outcome !== null) events.push(outcome);
    }
  }
  return current;
}

/** A fault of the agent itself must end a transaction, never leave it open. */
async function runOne(
  effect: Effect,
  situation: Situation,
  { runEffect, look }: Pick<Settling, "runEffect" | "look">,
): Promise<Event | null> {
  try {
    return await runEffect(effect, situation);
  } catch (error) {
    return { kind: "effect-failed", effect: effect.kind, detail: messageOf(error), look: await look() };
  }
}
