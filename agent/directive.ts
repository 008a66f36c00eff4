/**
 * What a directive means for the device (protocol 4.5): it can hold the device back, never choose what it runs.
 * @module
 */
import type { Offer } from "@nix-ota/common";
import { isBad } from "./step.ts";
import type { Situation } from "./state.ts";

/** What to do about an offer. */
export type Decision =
  /** Nothing, and why in a word for the log. */
  | {
    readonly kind: "nothing";
    readonly why:
      | "no-offer"
      | "other-channel"
      | "current"
      | "not-yet"
      | "busy"
      | "failed-before"
      | "held"
      | "overridden";
  }
  /** Fetch the release and verify it. */
  | { readonly kind: "fetch"; readonly offer: Offer }
  /** Activate what is staged. */
  | { readonly kind: "activate"; readonly digest: string };

/** Decides what to do about an offer. */
export function decideOffer(
  { state, memory }: Situation,
  offer: Offer | null,
  { channel, running, held }: {
    channel: string;
    running: string | null;
    /** Whether the last attempt at this release is too fresh for another one. */
    held: boolean;
  },
): Decision {
  if (offer === null) return { kind: "nothing", why: "no-offer" };
  if (offer.channel !== channel) return { kind: "nothing", why: "other-channel" };
  switch (state.kind) {
    case "staging":
    case "trial":
    case "probation":
    case "rolling_back":
      return { kind: "nothing", why: "busy" };
    case "rebooting":
      if (offer.digest === state.target.digest) return { kind: "nothing", why: "current" };
      break;
    case "staged":
      if (offer.digest !== state.target.digest) break;
      return offer.activate ? { kind: "activate", digest: offer.digest } : { kind: "nothing", why: "not-yet" };
    case "idle":
      if (memory.confirmed?.digest !== offer.digest) break;
      // A system that someone put in force since is left alone: until the next release, or until asked to retry.
      return { kind: "nothing", why: memory.confirmed.storePath === running ? "current" : "overridden" };
  }
  if (isBad(memory, offer.digest) && memory.last?.release?.digest === offer.digest) {
    return { kind: "nothing", why: "failed-before" };
  }
  if (held) return { kind: "nothing", why: "held" };
  return offer.stage ? { kind: "fetch", offer } : { kind: "nothing", why: "not-yet" };
}
