import assert from "node:assert/strict";
import type { Offer } from "@nix-ota/common";
import { decideOffer } from "./directive.ts";
import { digest, NEW, OLD, situationIn, TARGET, TRIAL } from "./fake/deployments.ts";
import type { Memory, State } from "./state.ts";

const OFFER: Offer = {
  channel: "prod",
  revision: 7,
  digest: TARGET.digest,
  stage: true,
  activate: true,
  reason: "go on",
};
const NEWER: Offer = { ...OFFER, revision: 8, digest: digest("8") };
const idle: State = { kind: "idle" };
const staged: State = { kind: "staged", target: TARGET };
const confirmed: Partial<Memory> = { confirmed: TARGET };
const bad: Partial<Memory> = {
  bad: [{ digest: TARGET.digest, reason: "health_failed", atMs: 0 }],
  last: {
    result: "rolled_back",
    reason: "health_failed",
    detail: null,
    release: { revision: 7, digest: TARGET.digest, storePath: NEW },
    atMs: 0,
  },
};

type Row = readonly [what: string, State, Partial<Memory>, Offer | null, string];
const ROWS: readonly Row[] = [
  ["nothing is offered", idle, {}, null, "nothing no-offer"],
  ["another channel is offered", idle, {}, { ...OFFER, channel: "beta" }, "nothing other-channel"],
  ["a release is offered", idle, {}, OFFER, "fetch"],
  ["a release may not be fetched yet", idle, {}, { ...OFFER, stage: false, activate: false }, "nothing not-yet"],
  ["the confirmed release runs", idle, confirmed, OFFER, "nothing current"],
  ["a newer release follows the confirmed one", idle, confirmed, NEWER, "fetch"],
  ["the release failed here before", idle, bad, OFFER, "nothing failed-before"],
  ["a newer release follows one that failed", idle, bad, NEWER, "fetch"],
  ["the staged release may be activated", staged, {}, OFFER, "activate"],
  ["the staged release has to wait", staged, {}, { ...OFFER, activate: false }, "nothing not-yet"],
  ["a newer release overtakes the staged one", staged, {}, NEWER, "fetch"],
  ["a newer release overtakes it and has to wait", staged, {}, { ...NEWER, stage: false }, "nothing not-yet"],
  ["a release is being fetched", { kind: "staging", target: TARGET }, {}, NEWER, "nothing busy"],
  ["a release is on trial", { kind: "trial", ...TRIAL, action: "switch" }, {}, NEWER, "nothing busy"],
  ["a release is on probation", { kind: "probation", ...TRIAL, warnings: false }, {}, NEWER, "nothing busy"],
  ["the release waits for a reboot", { kind: "rebooting", ...TRIAL, reason: null }, {}, OFFER, "nothing current"],
  ["a newer one follows what waits for a reboot", { kind: "rebooting", ...TRIAL, reason: null }, {}, NEWER, "fetch"],
];

for (const [what, state, memory, offer, wanted] of ROWS) {
  Deno.test(`decideOffer() says ${wanted} when ${what}`, () => {
    const running = memory.confirmed ? NEW : OLD;
    const decision = decideOffer(situationIn(state, memory), offer, { channel: "prod", running, held: false });
    assert.equal([decision.kind, "why" in decision ? decision.why : ""].join(" ").trim(), wanted);
  });
}

Deno.test("decideOffer() leaves a system alone that someone put in force since", () => {
  const decision = decideOffer(situationIn(idle, confirmed), OFFER, { channel: "prod", running: OLD, held: false });
  assert.deepEqual(decision, { kind: "nothing", why: "overridden" });
});

Deno.test("decideOffer() waits with a release whose last attempt is too fresh", () => {
  const decision = decideOffer(situationIn(idle), OFFER, { channel: "prod", running: OLD, held: true });
  assert.deepEqual(decision, { kind: "nothing", why: "held" });
});
