/**
 * From an offer to an event: fetch what is offered, verify it, keep it.
 * @module
 */
import { type Offer, type TrustClock } from "@nix-ota/common";
import type { Context } from "./context.ts";
import { lookAround } from "./device.ts";
import { decideOffer } from "./directive.ts";
import type { Event } from "./events.ts";
import type { Holds } from "./holds.ts";
import { acceptForDevice, deploymentOf, issuedMsOf, storeRelease } from "./releases.ts";
import type { ServerClient } from "./server.ts";
import { floorKey, type Situation } from "./state.ts";

/** What considering an offer needs. */
export interface OfferDeps {
  readonly context: Context;
  readonly client: ServerClient;
  readonly holds: Holds;
  readonly clock: () => Promise<TrustClock>;
}

/** What an offer leads to: at most one event, made of what was verified here. */
export async function considerOffer(
  deps: OfferDeps,
  situation: Situation,
  { offer, readToken }: { offer: Offer | null; readToken: string | null },
): Promise<Event | null> {
  const { context, holds } = deps;
  const { running } = await lookAround(context);
  const held = offer !== null && holds.leftMs(offer.digest) > 0;
  const decision = decideOffer(situation, offer, { channel: context.config.channel, running, held });
  switch (decision.kind) {
    case "activate":
      return { kind: "permitted", digest: decision.digest };
    case "nothing":
      return decision.why === "overridden" ? { kind: "drifted" } : null;
    case "fetch":
      return await fetchOffer(deps, situation, { offer: decision.offer, readToken });
  }
}

async function fetchOffer(
  { context, client, holds, clock }: OfferDeps,
  situation: Situation,
  { offer, readToken }: { offer: Offer; readToken: string | null },
): Promise<Event | null> {
  const { config, system } = context;
  const { revision, digest } = offer;
  const fetched = await client.release(offer.channel, revision, readToken);
  if (fetched.kind === "failed") {
    system.log("warn", "the release could not be fetched", { revision, detail: fetched.message });
    holds.note(digest);
    return null;
  }
  // Whatever is served is judged by itself; that it was offered proves nothing, and that it is another one neither.
  const floor = situation.memory.floors[floorKey(config)] ?? null;
  const acceptance = await acceptForDevice(context, { envelope: fetched.envelope, floor, clock: await clock() });
  if (acceptance.kind === "refused") {
    const { code, message } = acceptance;
    system.log("error", "refused a release", { revision, code, detail: message });
    return { kind: "refused", release: { revision, digest }, failure: { reason: code, detail: message } };
  }
  if (acceptance.stale) system.log("warn", "the release has expired, by a clock that nothing has set", { revision });
  // A server that offers one thing and serves another is not asked for it again and again.
  if (acceptance.verified.digest !== digest) holds.note(digest);
  await storeRelease(context, acceptance.verified);
  const target = deploymentOf(acceptance);
  return { kind: "offered", target, issuedMs: issuedMsOf(acceptance.verified), look: await lookAround(context) };
}
