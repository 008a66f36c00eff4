import assert from "node:assert/strict";
import { digest, look, NEW, OLD, POLICY, situationIn, TARGET, TRIAL } from "./fake/deployments.ts";
import type { Event, SwitchEnd } from "./events.ts";
import { transition } from "./machine.ts";
import type { Memory, Situation, State } from "./state.ts";
import { BAD_RELEASES_MAX } from "./state.ts";
import { ACTIVATIONS_MAX, type Policy, PROBATIONS_MAX, ROLLBACKS_MAX, WRITES_MAX } from "./step.ts";

const idle: State = { kind: "idle" };
const staging: State = { kind: "staging", target: TARGET };
const staged: State = { kind: "staged", target: TARGET };
const trial: State = { kind: "trial", ...TRIAL, action: "switch" };
const bootTrial: State = { kind: "trial", ...TRIAL, action: "boot" };
const probation: State = { kind: "probation", ...TRIAL, warnings: false };
const rolledBackOutcome = { result: "rolled_back", reason: "health_failed", detail: null } as const;
const rollingBack: State = {
  kind: "rolling_back",
  ...TRIAL,
  how: "switch",
  outcome: rolledBackOutcome,
  remember: true,
};

const isNew = look({ running: NEW, profile: NEW });
const offered: Event = { kind: "offered", target: TARGET, issuedMs: 500, look: look() };

function exited(code: number, at = isNew): Event {
  return { kind: "applied", end: { kind: "exited", code }, look: at, detail: "last words" };
}

function lastOf({ memory }: Situation): string | undefined {
  return memory.last === null ? undefined : `${memory.last.result} ${memory.last.reason}`;
}

function run(from: Situation, event: Event, policy: Partial<Policy> = {}): Situation {
  return transition(from, event, { ...POLICY, ...policy })[0];
}

const REASONS: readonly (readonly [SwitchEnd, string, boolean])[] = [
  [{ kind: "exited", code: 1 }, "switch_failed:exit 1", true],
  [{ kind: "timed-out" }, "switch_timeout", true],
  [{ kind: "vanished" }, "switch_failed:it was killed", true],
  [{ kind: "busy" }, "switch_busy", false],
  [{ kind: "profile-failed" }, "profile_failed", false],
];
for (const [end, reason, remember] of REASONS) {
  Deno.test(`transition() goes back with ${reason} and ${remember ? "remembers" : "forgets"} it`, () => {
    const back = run(situationIn(trial), { kind: "applied", end, look: look({ profile: NEW }), detail: null });
    const done = run(back, { kind: "reverted", look: look(), detail: null });
    assert.equal(lastOf(done), `rolled_back ${reason}`);
    assert.equal(done.memory.bad.some((one) => one.digest === TARGET.digest), remember);
  });
}

Deno.test("transition() restores only the profile when the switch was never started", () => {
  const { state } = run(situationIn(trial), {
    kind: "applied",
    end: { kind: "profile-failed" },
    look: look(),
    detail: "x",
  });
  assert.equal(state.kind === "rolling_back" && state.how, "profile");
});

Deno.test("transition() keeps what ran first as the way back through a second attempt", () => {
  const again = run(situationIn(trial), { kind: "prepared", prev: NEW, action: "switch", bootId: "boot-2" });
  assert.deepEqual(again.state, { kind: "trial", ...TRIAL, bootId: "boot-2", attempt: 2, action: "switch" });
});

Deno.test("transition() activates a target at most so often", () => {
  const cut: Event = { kind: "trial-cut", look: look({ bootId: "boot-3" }), newBoot: true };
  const spent = run(situationIn({ ...trial, attempt: ACTIVATIONS_MAX }), cut);
  assert.equal(spent.state.kind, "rolling_back");
  const done = run(spent, { kind: "reverted", look: look(), detail: null });
  assert.equal(lastOf(done), "rolled_back power_lost");
});

Deno.test("transition() begins a probation at most so often", () => {
  const again: Event = { kind: "probe-again", look: isNew };
  assert.equal(run(situationIn({ ...probation, attempt: PROBATIONS_MAX - 1 }), again).state.kind, "probation");
  assert.equal(run(situationIn({ ...probation, attempt: PROBATIONS_MAX }), again).state.kind, "rolling_back");
});

Deno.test("transition() gives the way back up at last, says so, and never tries the release again", () => {
  let situation = situationIn(rollingBack);
  for (let n = 1; n < ROLLBACKS_MAX; n++) {
    situation = run(situation, { kind: "reverted", look: isNew, detail: "exit 1" });
  }
  assert.equal(situation.state.kind, "rolling_back");
  situation = run(situation, { kind: "reverted", look: isNew, detail: "exit 1" });
  assert.equal(lastOf(situation), "rollback_failed rollback_failed");
  assert.match(situation.memory.last?.detail ?? "", /health_failed.*exit 1/);
  assert.equal(run(situation, offered).state.kind, "idle");
});

Deno.test("transition() does not hold it against the way back that the agent was cut off, but not for ever", () => {
  const again: Event = { kind: "revert-again", look: isNew };
  let situation = situationIn(rollingBack);
  for (let n = 0; n < 2 * ROLLBACKS_MAX; n++) situation = run(situation, again);
  assert.deepEqual(situation.state, rollingBack);
  for (let n = 0; n < WRITES_MAX && situation.state.kind !== "idle"; n++) situation = run(situation, again);
  assert.equal(lastOf(situation), "rollback_failed rollback_failed");
  const booted: Event = { kind: "revert-again", look: look({ ...isNew, bootId: "boot-2" }) };
  const spent = run(situationIn({ ...rollingBack, attempt: ROLLBACKS_MAX }), booted);
  assert.equal(lastOf(spent), "rollback_failed rollback_failed");
});

Deno.test("transition() goes the last way back through a boot where it can", () => {
  const before = situationIn({ ...rollingBack, attempt: ROLLBACKS_MAX - 1 });
  const [next, effects] = transition(before, { kind: "reverted", look: isNew, detail: null }, {
    ...POLICY,
    canReboot: true,
  });
  assert.deepEqual(effects, [{ kind: "revert", target: TARGET, prev: OLD, how: "boot" }]);
  const [, asked] = transition(next, { kind: "reverted", look: look({ running: NEW }), detail: null }, {
    ...POLICY,
    canReboot: true,
  });
  assert.deepEqual(asked.map(({ kind }) => kind), ["report", "reboot"]);
});

Deno.test("transition() reboots by itself only in that mode and only where it can", async (t) => {
  const cases = [["reboot", true, true], ["reboot", false, false], ["boot", true, false], [
    "auto",
    true,
    false,
  ]] as const;
  for (const [mode, canReboot, reboots] of cases) {
    await t.step(`mode ${mode}, ${canReboot ? "systemd" : "no systemd"}`, () => {
      const from = situationIn({ ...bootTrial, target: { ...TARGET, mode } });
      const [, effects] = transition(from, exited(0, look({ profile: NEW })), { ...POLICY, canReboot });
      assert.equal(effects.some(({ kind }) => kind === "reboot"), reboots);
    });
  }
});

Deno.test("transition() cannot go back where nothing ran before, and says so", () => {
  const bad: Event = { kind: "unhealthy", failure: { reason: "health_failed", detail: null }, look: isNew };
  const next = run(situationIn({ ...probation, prev: null }), bad);
  assert.equal(lastOf(next), "rollback_failed rollback_failed");
});

Deno.test("transition() remembers the previous system and the floor, which only grows", () => {
  const memory: Partial<Memory> = {
    floors: { "default/prod": { revision: 9, digest: digest("9") } },
    timeFloorMs: 900,
  };
  const next = run(situationIn(idle, memory), offered);
  assert.deepEqual(next.memory.floors["default/prod"], { revision: 9, digest: digest("9") });
  assert.equal(next.memory.timeFloorMs, 900);
  const higher = run(situationIn(idle), offered);
  assert.deepEqual(higher.memory.floors["default/prod"], { revision: 7, digest: TARGET.digest });
  const confirmed = run(situationIn(probation), { kind: "healthy", look: isNew });
  assert.equal(confirmed.memory.previous, OLD);
  assert.deepEqual(confirmed.memory.confirmed, TARGET);
});

Deno.test("transition() never takes a release on that failed here before, and keeps what is known of it", () => {
  const bad = [{ digest: TARGET.digest, reason: "health_failed", atMs: 1 }];
  const release = { revision: 7, digest: TARGET.digest, storePath: NEW };
  const last = { ...rolledBackOutcome, release, atMs: 1 };
  assert.equal(lastOf(run(situationIn(idle, { bad, last }), offered)), "rolled_back health_failed");
  assert.equal(lastOf(run(situationIn(idle, { bad }), offered)), "refused bad_release");
  const retried = run(situationIn(idle, { bad, last }), { kind: "retry-requested" });
  assert.equal(run(retried, offered).state.kind, "staging");
});

Deno.test("transition() remembers a bounded number of bad releases, the newest", () => {
  const bad = Array.from(
    { length: BAD_RELEASES_MAX },
    (_, n) => ({ digest: `sha256:${String(n).padStart(64, "0")}`, reason: "x", atMs: n }),
  );
  const next = run(situationIn(staging, { bad }), {
    kind: "stage-failed",
    failure: { reason: "not_a_system", detail: null },
    remember: true,
  });
  assert.equal(next.memory.bad.length, BAD_RELEASES_MAX);
  assert.equal(next.memory.bad.at(-1)?.digest, TARGET.digest);
});

Deno.test("transition() goes back by hand to the recorded system only, and not again by itself", () => {
  const request: Event = { kind: "rollback-requested", look: isNew };
  assert.equal(lastOf(run(situationIn(idle), request)), "refused no_previous_system");
  const memory: Partial<Memory> = { confirmed: TARGET, previous: OLD };
  const [back, effects] = transition(situationIn(idle, memory), request, POLICY);
  assert.deepEqual(effects.at(-1), { kind: "revert", target: TARGET, prev: OLD, how: "switch" });
  const done = run(back, { kind: "reverted", look: look(), detail: null });
  assert.equal(lastOf(done), "rolled_back operator_rollback");
  assert.equal(done.memory.previous, null);
  assert.equal(run(done, offered).state.kind, "idle");
});

Deno.test("transition() does not fetch on what a rollback by hand interrupted", () => {
  const memory: Partial<Memory> = { confirmed: { ...TARGET, digest: digest("6") }, previous: OLD };
  const back = run(situationIn(staging, memory), { kind: "rollback-requested", look: look() });
  const done = run(back, { kind: "reverted", look: look(), detail: null });
  assert.deepEqual(done.memory.bad.map((one) => one.digest), [TARGET.digest, digest("6")]);
});

Deno.test("transition() leaves a system alone that someone put in force, and says so once", () => {
  const drifted = run(situationIn(idle, { confirmed: TARGET, previous: OLD }), { kind: "drifted" });
  assert.equal(lastOf(drifted), "skipped overridden");
  assert.equal(run(drifted, { kind: "drifted" }), drifted);
  assert.equal(run(drifted, { kind: "retry-requested" }).memory.confirmed, null);
});

Deno.test("transition() follows a boot loader that left a confirmed system", () => {
  const seen = look({ profile: NEW, bootId: "boot-2" });
  const from = situationIn(idle, { confirmed: TARGET, previous: OLD });
  const [back, effects] = transition(from, { kind: "boot-reverted", look: seen }, POLICY);
  assert.deepEqual(effects.at(-1), { kind: "revert", target: TARGET, prev: OLD, how: "boot" });
  const done = run(back, { kind: "reverted", look: look({ bootId: "boot-2" }), detail: null });
  assert.equal(lastOf(done), "rolled_back reboot_reverted");
  assert.equal(run(done, offered).state.kind, "idle");
});

Deno.test("transition() says a refusal once, however often it is offered", () => {
  const refusal: Event = {
    kind: "refused",
    release: { revision: 3, digest: digest("3") },
    failure: { reason: "revision_too_old", detail: "x" },
  };
  const once = run(situationIn(idle), refusal);
  assert.equal(lastOf(once), "refused revision_too_old");
  assert.equal(run(once, refusal), once);
});

Deno.test("transition() breaks a loop in every state, back to safety", async (t) => {
  const [before, spent] = [staging, WRITES_MAX];
  const cases: readonly (readonly [State, Event, State["kind"]])[] = [
    [before, { kind: "stage-succeeded" }, "idle"],
    [staged, { kind: "prepared", prev: OLD, action: "switch", bootId: "boot-1" }, "rolling_back"],
    [trial, exited(0), "rolling_back"],
    [probation, { kind: "probe-again", look: isNew }, "rolling_back"],
    [rollingBack, { kind: "reverted", look: isNew, detail: null }, "idle"],
  ];
  for (const [from, event, to] of cases) {
    await t.step(from.kind, () => {
      const next = run({ ...situationIn(from), writes: spent }, event);
      assert.equal(next.state.kind, to);
    });
  }
});

Deno.test("transition() writes nothing into the journal that its own reader refuses", () => {
  const nasty = { reason: "health_failed:\u001b[31m" + "x".repeat(500), detail: "\u0000\u202e" + "y".repeat(5000) };
  const next = run(situationIn(staging), { kind: "stage-failed", failure: nasty, remember: true });
  assert.match(next.memory.last?.reason ?? "", /^health_failed:[\x20-\x7e]{1,200}$/);
  assert.ok((next.memory.last?.detail?.length ?? 0) <= 2048);
});

Deno.test("transition() never changes what it was given", () => {
  const from = situationIn(trial);
  const copy = structuredClone(from);
  for (const event of [exited(0), exited(1), { kind: "trial-cut", look: look(), newBoot: true }] satisfies Event[]) {
    transition(from, event, POLICY);
  }
  assert.deepEqual(from, copy);
});
