import assert from "node:assert/strict";
import { digest, look, NEW, OLD, POLICY, situationIn, TARGET, THIRD, TRIAL } from "./fake/deployments.ts";
import type { Event } from "./events.ts";
import { transition } from "./machine.ts";
import type { Situation, State } from "./state.ts";

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
