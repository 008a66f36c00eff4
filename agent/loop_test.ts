import assert from "node:assert/strict";
import { look, OLD, POLICY, situationIn, TARGET } from "./fake/deployments.ts";
import type { Effect, Event } from "./events.ts";
import { settle, type Settling } from "./loop.ts";
import type { Situation } from "./state.ts";

const STAGED = situationIn({ kind: "staged", target: TARGET });
const PREPARED: Event = { kind: "prepared", prev: OLD, action: "switch", bootId: "boot-1" };

/** Settling that notes what happens in order; effects answer as told. */
function noting(
  answers: (effect: Effect) => Event | null | Error,
): { notes: string[]; settling: Settling; stop: AbortController } {
  const notes: string[] = [];
  const stop = new AbortController();
  const settling: Settling = {
    journal: { write: ({ state }) => Promise.resolve(void notes.push(`write ${state.kind}`)) },
    policy: () => POLICY,
    runEffect: (effect) => {
      notes.push(effect.kind);
      const answer = answers(effect);
      return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
    },
    look: () => Promise.resolve(look()),
    onChange: () => {},
    signal: stop.signal,
  };
  return { notes, settling, stop };
}

Deno.test("settle() writes the journal before it acts, at every step", async () => {
  const isNew = look({ running: TARGET.storePath, profile: TARGET.storePath });
  const { notes, settling } = noting((effect) => {
    if (effect.kind === "apply") {
      return { kind: "applied", end: { kind: "exited", code: 0 }, look: isNew, detail: null };
    }
    if (effect.kind === "probe") return { kind: "healthy", look: isNew };
    return null;
  });
  const end = await settle(STAGED, PREPARED, settling);
  assert.equal(end.state.kind, "idle");
  assert.deepEqual(notes, [
    "write trial",
    "report",
    "apply",
    "write probation",
    "report",
    "probe",
    "write idle",
    "tidy",
    "report",
  ]);
});

Deno.test("settle() does not act when the journal cannot be written", async () => {
  const { notes, settling } = noting(() => null);
  const full = { ...settling, journal: { write: () => Promise.reject(new Error("No space left on device")) } };
  await assert.rejects(settle(STAGED, PREPARED, full), /No space left/);
  assert.deepEqual(notes, []);
});

Deno.test("settle() does not write what has not changed", async () => {
  const { notes, settling } = noting(() => null);
  await settle(STAGED, { kind: "stage-succeeded" }, settling);
  assert.deepEqual(notes, []);
});

Deno.test("settle() turns a fault of the agent into an event that leads back to safety", async () => {
  const { notes, settling } = noting((effect) => {
    if (effect.kind === "apply") return new TypeError("a fault");
    if (effect.kind === "revert") return { kind: "reverted", look: look(), detail: null };
    return null;
  });
  const end = await settle(STAGED, PREPARED, settling);
  assert.equal(end.memory.last?.result, "rolled_back");
  assert.match(end.memory.last?.detail ?? "", /a fault/);
  assert.ok(notes.indexOf("write rolling_back") < notes.indexOf("revert"));
});

Deno.test("settle() stops between two steps, and what an interrupted effect says is no news", async () => {
  const { notes, settling, stop } = noting((effect) => {
    if (effect.kind === "apply") stop.abort();
    return { kind: "applied", end: { kind: "vanished" }, look: look(), detail: null };
  });
  const end: Situation = await settle(STAGED, PREPARED, settling);
  assert.equal(end.state.kind, "trial");
  assert.equal(notes.at(-1), "apply");
});
