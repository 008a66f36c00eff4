import assert from "node:assert/strict";
import { digest, look, NEW, OLD, POLICY, situationIn, TARGET, THIRD, TRIAL } from "./fake/deployments.ts";
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
const rebooting: State = { kind: "rebooting", ...TRIAL, reason: null };
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
const failure = { reason: "cache_unreachable", detail: "no route" };

function exited(code: number, at = isNew): Event {
  return { kind: "applied", end: { kind: "exited", code }, look: at, detail: "last words" };
}

/** What a row expects: the next state, the effects in order, and the last result with its reason where one is noted. */
type Row = readonly [what: string, from: State, event: Event, to: State["kind"], effects: string, last?: string];

const ROWS: readonly Row[] = [
  ["an offer is taken on", idle, offered, "staging", "report stage"],
  [
    "an offer of what runs is nothing to do",
    idle,
    { ...offered, look: isNew },
    "idle",
    "tidy report",
    "succeeded already_running",
  ],
  [
    "a target that runs and is not the profile is taken on",
    idle,
    { ...offered, look: look({ running: NEW }) },
    "staging",
    "report stage",
  ],
  ["a late event changes nothing", idle, { kind: "stage-succeeded" }, "idle", ""],
  ["a fetched release waits", staging, { kind: "stage-succeeded" }, "staged", "report"],
  [
    "a failed download ends the attempt",
    staging,
    { kind: "stage-failed", failure, remember: false },
    "idle",
    "tidy report",
    "failed_before_activation cache_unreachable",
  ],
  ["a restart begins the download again", staging, { kind: "stage-again" }, "staging", "stage"],
  [
    "a fault of the agent ends a download",
    staging,
    { kind: "effect-failed", effect: "stage", detail: "x", look: look() },
    "idle",
    "tidy report",
    "failed_before_activation interrupted",
  ],
  ["the same offer again changes nothing", staging, offered, "staging", ""],
  [
    "a newer offer takes the place of a download",
    staging,
    { ...offered, target: { ...TARGET, revision: 8, digest: digest("8") } },
    "staging",
    "report stage",
  ],
  ["a moved device gives a download up", staging, { kind: "transaction-void" }, "idle", "tidy"],
  ["permission leads to one more check", staged, { kind: "permitted", digest: TARGET.digest }, "staged", "prepare"],
  ["permission for another release is none", staged, { kind: "permitted", digest: digest("8") }, "staged", ""],
  [
    "a checked release goes on trial",
    staged,
    { kind: "prepared", prev: OLD, action: "switch", bootId: "boot-1" },
    "trial",
    "report apply",
  ],
  [
    "a closure that is damaged now is not activated",
    staged,
    { kind: "prepare-failed", failure: { reason: "store_corrupt", detail: null } },
    "idle",
    "tidy report",
    "failed_before_activation store_corrupt",
  ],
  ["a good switch leads to a probation", trial, exited(0), "probation", "report probe"],
  ["failed units leave the verdict to the health check", trial, exited(4), "probation", "report probe"],
  ["a bad exit goes back, though the new system runs", trial, exited(2), "rolling_back", "report revert"],
  ["a switch without effect goes back", trial, exited(0, look({ profile: NEW })), "rolling_back", "report revert"],
  [
    "a switch that moved the profile away goes back",
    trial,
    exited(0, look({ running: NEW })),
    "rolling_back",
    "report revert",
  ],
  [
    "a system that can only be booted waits for it",
    trial,
    exited(100, look({ profile: NEW })),
    "rebooting",
    "report",
    "pending_reboot null",
  ],
  [
    "a time-out goes back",
    trial,
    { kind: "applied", end: { kind: "timed-out" }, look: isNew, detail: null },
    "rolling_back",
    "report revert",
  ],
  [
    "a killed switch goes back",
    trial,
    { kind: "applied", end: { kind: "vanished" }, look: isNew, detail: null },
    "rolling_back",
    "report revert",
  ],
  [
    "a boot entry waits for the boot",
    bootTrial,
    exited(0, look({ profile: NEW })),
    "rebooting",
    "report",
    "pending_reboot null",
  ],
  [
    "a boot entry that failed is taken back",
    bootTrial,
    exited(1, look({ profile: NEW })),
    "rolling_back",
    "report revert",
  ],
  ["a switch that goes on is waited for", trial, { kind: "switch-running" }, "trial", "await-switch"],
  [
    "a cut-off activation is prepared again",
    trial,
    { kind: "trial-cut", look: look(), newBoot: true },
    "trial",
    "prepare",
  ],
  [
    "the second attempt is made",
    trial,
    { kind: "prepared", prev: NEW, action: "switch", bootId: "boot-2" },
    "trial",
    "apply",
  ],
  [
    "a booted target is on probation",
    trial,
    { kind: "booted-target", look: look({ ...isNew, bootId: "boot-2" }) },
    "probation",
    "report probe",
  ],
  [
    "a fault of the agent goes back",
    trial,
    { kind: "effect-failed", effect: "apply", detail: "x", look: isNew },
    "rolling_back",
    "report revert",
  ],
  [
    "a third system in force ends the attempt",
    trial,
    { kind: "overridden", look: look({ running: THIRD, profile: THIRD }) },
    "idle",
    "tidy report",
    "skipped overridden",
  ],
  [
    "a third system does not leave the target as the next boot",
    trial,
    { kind: "overridden", look: look({ running: THIRD, profile: NEW }) },
    "rolling_back",
    "report revert",
  ],
  [
    "the boot came",
    rebooting,
    { kind: "booted-target", look: look({ ...isNew, bootId: "boot-2" }) },
    "probation",
    "report probe",
  ],
  [
    "the boot loader fell back",
    rebooting,
    { kind: "boot-reverted", look: look({ bootId: "boot-2", profile: NEW }) },
    "rolling_back",
    "report revert",
  ],
  ["without systemd a reboot is waited for", rebooting, { kind: "still-waiting" }, "rebooting", ""],
  [
    "a newer release takes the boot entry back first",
    rebooting,
    { ...offered, target: { ...TARGET, revision: 8, digest: digest("8"), storePath: THIRD } },
    "rolling_back",
    "report revert",
  ],
  [
    "the same system under a newer release goes on waiting",
    rebooting,
    { ...offered, target: { ...TARGET, revision: 8, digest: digest("8") } },
    "rebooting",
    "report",
  ],
  ["good health confirms", probation, { kind: "healthy", look: isNew }, "idle", "tidy report", "succeeded null"],
  [
    "good health of another system confirms nothing",
    probation,
    { kind: "healthy", look: look({ running: THIRD, profile: THIRD }) },
    "idle",
    "tidy report",
    "skipped overridden",
  ],
  [
    "bad health goes back",
    probation,
    { kind: "unhealthy", failure: { reason: "health_failed:exit 3", detail: null }, look: isNew },
    "rolling_back",
    "report revert",
  ],
  [
    "an interrupted probation begins again",
    probation,
    { kind: "probe-again", look: isNew },
    "probation",
    "report probe",
  ],
  [
    "a person who went back is followed",
    probation,
    { kind: "gone-back", look: look() },
    "rolling_back",
    "report revert",
  ],
  [
    "a person's rollback is obeyed in a probation",
    probation,
    { kind: "rollback-requested", look: isNew },
    "rolling_back",
    "report revert",
  ],
  [
    "the way back has worked",
    rollingBack,
    { kind: "reverted", look: look(), detail: null },
    "idle",
    "tidy report",
    "rolled_back health_failed",
  ],
  [
    "the way back is tried again",
    rollingBack,
    { kind: "reverted", look: isNew, detail: "exit 1" },
    "rolling_back",
    "revert",
  ],
  [
    "the profile alone is not the way back",
    rollingBack,
    { kind: "reverted", look: look({ running: NEW }), detail: null },
    "rolling_back",
    "revert",
  ],
  ["a cut-off way back is gone again", rollingBack, { kind: "revert-again", look: isNew }, "rolling_back", "revert"],
  [
    "a reboot ended the way back",
    rollingBack,
    { kind: "revert-again", look: look({ bootId: "boot-2" }) },
    "idle",
    "tidy report",
    "rolled_back health_failed",
  ],
];

function lastOf({ memory }: Situation): string | undefined {
  return memory.last === null ? undefined : `${memory.last.result} ${memory.last.reason}`;
}

for (const [what, from, event, to, effects, last] of ROWS) {
  Deno.test(`transition() from ${from.kind} on ${event.kind}: ${what}`, () => {
    const [next, asked] = transition(situationIn(from), event, POLICY);
    assert.equal(next.state.kind, to);
    assert.equal(asked.map(({ kind }) => kind).join(" "), effects);
    assert.equal(lastOf(next), last);
  });
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
  for (const [, state, event] of ROWS) if (state === trial) transition(from, event, POLICY);
  assert.deepEqual(from, copy);
});
