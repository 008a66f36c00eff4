/**
 * What happens to the agent and what it does: the two alphabets of the machine.
 * @module
 */
import type { ReleaseRef } from "@nix-ota/common";
import type { Action, Deployment, Return } from "./state.ts";

/** What the agent sees when it looks at the device; null where there is nothing to see. */
export interface Look {
  /** Where `/run/current-system` leads. */
  readonly running: string | null;
  /** Where `/run/booted-system` leads. */
  readonly booted: string | null;
  /** Where the system profile leads. */
  readonly profile: string | null;
  /** Changes with every boot. */
  readonly bootId: string;
}

/** How a `switch-to-configuration` ended. An exit code alone is never believed. */
export type SwitchEnd =
  | { readonly kind: "exited"; readonly code: number }
  | { readonly kind: "timed-out" }
  /** Another activation held the lock all the time. */
  | { readonly kind: "busy" }
  /** It is gone and left no exit code. */
  | { readonly kind: "vanished" }
  /** It was never started as the profile could not be set. */
  | { readonly kind: "profile-failed" };

/** A reason, perhaps with a colon and what it is about, and a sentence. */
export interface Failure {
  readonly reason: string;
  readonly detail: string | null;
}

/** What the machine reacts to. */
export type Event =
  // From the server, verified.
  | { readonly kind: "offered"; readonly target: Deployment; readonly issuedMs: number; readonly look: Look }
  | { readonly kind: "refused"; readonly release: ReleaseRef | null; readonly failure: Failure }
  | { readonly kind: "permitted"; readonly digest: string }
  /** The release on offer was confirmed here, and another system runs since. */
  | { readonly kind: "drifted" }
  // From effects.
  | { readonly kind: "stage-succeeded" }
  | { readonly kind: "stage-failed"; readonly failure: Failure; readonly remember: boolean }
  | { readonly kind: "prepared"; readonly prev: string | null; readonly action: Action; readonly bootId: string }
  | { readonly kind: "prepare-failed"; readonly failure: Failure }
  | { readonly kind: "applied"; readonly end: SwitchEnd; readonly look: Look; readonly detail: string | null }
  | { readonly kind: "healthy"; readonly look: Look }
  | { readonly kind: "unhealthy"; readonly failure: Failure; readonly look: Look }
  | { readonly kind: "reverted"; readonly look: Look; readonly detail: string | null }
  | { readonly kind: "reboot-failed"; readonly detail: string }
  | { readonly kind: "log-sent" }
  | { readonly kind: "effect-failed"; readonly effect: Effect["kind"]; readonly detail: string; readonly look: Look }
  // From a person on the device.
  | { readonly kind: "rollback-requested"; readonly look: Look }
  | { readonly kind: "retry-requested" }
  // From looking after a restart; see `recover.ts`.
  | { readonly kind: "nothing-open" }
  | { readonly kind: "transaction-void" }
  | { readonly kind: "stage-again" }
  | { readonly kind: "switch-running" }
  | { readonly kind: "trial-cut"; readonly look: Look; readonly newBoot: boolean }
  | { readonly kind: "booted-target"; readonly look: Look }
  | { readonly kind: "still-waiting" }
  | { readonly kind: "boot-reverted"; readonly look: Look }
  | { readonly kind: "probe-again"; readonly look: Look }
  | { readonly kind: "gone-back"; readonly look: Look }
  | { readonly kind: "overridden"; readonly look: Look }
  | { readonly kind: "revert-again"; readonly look: Look };

/** What the machine asks for; `effects.ts` has one runner for each. */
export type Effect =
  /** Fetch the closure, check it, make it durable. */
  | { readonly kind: "stage"; readonly target: Deployment }
  /** Check all again just before activation, and look. */
  | { readonly kind: "prepare"; readonly target: Deployment }
  /** Set the profile, run `switch-to-configuration`, look. */
  | { readonly kind: "apply"; readonly target: Deployment; readonly prev: string | null; readonly action: Action }
  /** Wait for a `switch-to-configuration` that outlived the agent, then look. */
  | { readonly kind: "await-switch"; readonly target: Deployment }
  | { readonly kind: "reboot" }
  /** Run the health check until it passes or its time is up. */
  | { readonly kind: "probe"; readonly target: Deployment }
  /** Make the previous system the profile and activate it, look. */
  | { readonly kind: "revert"; readonly target: Deployment; readonly prev: string; readonly how: Return }
  /** Point the GC roots at what is needed now, forget stored releases that are not. */
  | { readonly kind: "tidy" }
  /** Tell the server; never waits, never fails. */
  | { readonly kind: "report" };
