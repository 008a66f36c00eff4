import assert from "node:assert/strict";
import { look, NEW, OLD, situationIn, TARGET, THIRD, TRIAL } from "./fake/deployments.ts";
import type { Event, Look } from "./events.ts";
import { recover, type SwitchJob } from "./recover.ts";
import type { State } from "./state.ts";

const idle: State = { kind: "idle" };
const staging: State = { kind: "staging", target: TARGET };
const staged: State = { kind: "staged", target: TARGET };
const trial: State = { kind: "trial", ...TRIAL, action: "switch" };
const rebooting: State = { kind: "rebooting", ...TRIAL, reason: null };
const probation: State = { kind: "probation", ...TRIAL, warnings: false };
const rollingBack: State = {
  kind: "rolling_back",
  ...TRIAL,
  how: "switch",
  outcome: { result: "rolled_back", reason: "health_failed", detail: null },
  remember: true,
};
const isNew = { running: NEW, profile: NEW };
const bootedNew = { ...isNew, booted: NEW, bootId: "boot-2" };
const bootedOld = { bootId: "boot-2" };
const isThird = { running: THIRD };
const NONE: SwitchJob = { kind: "none" };

/** Where the device stood, what is seen, what became of the switch, and what it means. */
const CASES: readonly (readonly [why: string, State, Partial<Look>, SwitchJob, Event["kind"]])[] = [
  ["no transaction was open", idle, {}, NONE, "nothing-open"],
  ["another system runs, which is nobody's transaction", idle, isThird, NONE, "nothing-open"],
  ["a download was cut off", staging, {}, NONE, "stage-again"],
  ["a download was cut off by a power cut", staging, bootedOld, NONE, "stage-again"],
  ["a release waits for permission", staged, {}, NONE, "nothing-open"],
  ["the switch goes on", trial, {}, { kind: "running" }, "switch-running"],
  ["the switch ended while the agent was away", trial, isNew, { kind: "exited", code: 0 }, "applied"],
  ["the switch never began", trial, {}, NONE, "trial-cut"],
  ["the switch was killed after it changed the system", trial, isNew, NONE, "trial-cut"],
  ["the power went before the boot loader was installed", trial, bootedOld, NONE, "trial-cut"],
  ["the power went after the boot loader was installed", trial, bootedNew, NONE, "booted-target"],
  ["an exit code of an earlier boot means nothing", trial, bootedOld, { kind: "exited", code: 0 }, "trial-cut"],
  ["someone put a third system in force in an activation", trial, isThird, NONE, "overridden"],
  ["nobody has rebooted yet", rebooting, {}, NONE, "still-waiting"],
  ["the target was switched to by hand and not booted", rebooting, isNew, NONE, "still-waiting"],
  ["the target was booted", rebooting, bootedNew, NONE, "booted-target"],
  ["the boot loader fell back", rebooting, bootedOld, NONE, "boot-reverted"],
  ["a third system was booted", rebooting, { ...isThird, bootId: "boot-2" }, NONE, "overridden"],
  ["the agent was killed in a probation", probation, isNew, NONE, "probe-again"],
  ["the power went in a probation", probation, bootedNew, NONE, "probe-again"],
  ["the boot loader fell back in a probation", probation, bootedOld, NONE, "boot-reverted"],
  ["a person went back in a probation", probation, {}, NONE, "gone-back"],
  ["a third system was put in force in a probation", probation, isThird, NONE, "overridden"],
  ["a way back was cut off", rollingBack, isNew, NONE, "revert-again"],
  ["a way back was cut off after it worked", rollingBack, {}, NONE, "revert-again"],
];

for (const [why, state, seen, job, kind] of CASES) {
  Deno.test(`recover() says ${kind} from ${state.kind} when ${why}`, () => {
    const event = recover(situationIn(state), { look: look(seen), job, channel: "prod" });
    assert.equal(event.kind, kind);
  });
}

Deno.test("recover() sees that the boot loader left a confirmed system for another one", async (t) => {
  const memory = { confirmed: TARGET, previous: OLD };
  const cases: readonly (readonly [why: string, Partial<Look>, Event["kind"]])[] = [
    ["it fell back", { profile: NEW, bootId: "boot-2" }, "boot-reverted"],
    ["all is as confirmed", bootedNew, "nothing-open"],
    ["the target was switched to and never booted", isNew, "nothing-open"],
    ["a person made another system the profile as well", { bootId: "boot-2" }, "nothing-open"],
    ["a person switched to another system for now", { profile: NEW, running: THIRD }, "nothing-open"],
    ["nothing can be seen", { profile: NEW, running: null, booted: null }, "nothing-open"],
  ];
  for (const [why, seen, kind] of cases) {
    await t.step(why, () => {
      assert.equal(recover(situationIn(idle, memory), { look: look(seen), job: NONE, channel: "prod" }).kind, kind);
    });
  }
});

Deno.test("recover() gives a download up when the device was moved to another channel", () => {
  for (const state of [staging, staged]) {
    const event = recover(situationIn(state), { look: look(), job: NONE, channel: "beta" });
    assert.equal(event.kind, "transaction-void");
  }
});

Deno.test("recover() never gives a trial up for a new channel, as the device was touched", () => {
  for (const state of [trial, probation, rollingBack]) {
    const event = recover(situationIn(state), { look: look(), job: NONE, channel: "beta" });
    assert.notEqual(event.kind, "transaction-void");
  }
});

Deno.test("recover() takes a first system without a way back for what it is", () => {
  const first: State = { kind: "trial", ...TRIAL, prev: null, action: "switch" };
  const nothing = look({ running: null, booted: null, profile: null });
  assert.equal(recover(situationIn(first), { look: nothing, job: NONE, channel: "prod" }).kind, "trial-cut");
  assert.equal(
    recover(situationIn(first), { look: look({ running: OLD }), job: NONE, channel: "prod" }).kind,
    "overridden",
  );
});
