/** `POST /checkin` (protocol 4.3 to 4.5). */
import {
  type Checkin,
  type Directive,
  ENVELOPE_CONTENT_TYPE,
  formatTimestamp,
  type Log,
  OtaError,
  parseCheckin,
  paths,
  PINNED_ROOT,
  REQUEST_LIMITS,
} from "@nix-ota/common";
import { readBody } from "../body.ts";
import type { App, AppDeps } from "../deps.ts";
import { addRoute, type RouteHandler } from "../router.ts";
import type { StoredRelease } from "../store/wire_queries.ts";
import { recordState } from "./clean_state.ts";
import { checkNotRejected, type DeviceEnvelopes, type FromDevice } from "./device_envelope.ts";
import { makeNonce, spreadSeconds } from "./nonce.ts";

const CHECKIN_BODY = { contentType: ENVELOPE_CONTENT_TYPE, maxBytes: REQUEST_LIMITS.checkinBytes } as const;

/** Adds the route. */
export function addCheckin(app: App, deps: AppDeps, envelopes: DeviceEnvelopes): void {
  const { policy, store, access, now, random, log } = deps;

  const checkin: RouteHandler = async (c) => {
    const bytes = await readBody(c.req.raw, CHECKIN_BODY);
    const from = await envelopes.open(bytes, "checkin", parseCheckin);
    const { document, identity } = from;
    checkNotRejected(from);
    const newNonce = makeNonce();
    const outcome = await store.submit<"checkin">({
      kind: "checkin",
      nowMs: now(),
      name: identity.name,
      fingerprint: identity.fingerprint,
      seq: document.seq,
      nonce: document.nonce,
      bootId: document.bootId,
      facts: { channel: document.channel, system: document.system, variant: document.variant },
      state: recordState(document.state),
      newNonce,
    });
    log("debug", "checkin", { device: identity.name, seq: document.seq, changed: outcome.changed });
    if (outcome.told) logResult(from, log);
    if (outcome.cloneFound) log("warn", "clone_suspected", { device: identity.name, boot: document.bootId });
    if (outcome.status === "pending") throw pending(from);
    const answer: Directive = {
      v: 1,
      nonce: newNonce,
      serverTime: formatTimestamp(now()),
      pollAfterSeconds: spreadSeconds(policy.pollSeconds, random),
      root: PINNED_ROOT,
      offer: offerOf(store.head(document.channel)),
      readToken: access.readTokenFor(identity.name),
    };
    return c.json(answer);
  };

  addRoute(app, paths.checkin, { POST: checkin });
}

/** Results only: the phases in between are in the device's history. */
function logResult({ identity, document }: FromDevice<Checkin>, log: Log): void {
  const { phase, target, result, reason } = document.state;
  if (phase !== "idle" || result === null) return;
  log(result.startsWith("succeeded") ? "info" : "warn", "device_result", {
    device: identity.name,
    channel: document.channel,
    revision: target?.revision ?? null,
    result,
    reason,
  });
}

/** Its report is kept, so that operators see what asks to be let in; it gets nothing. */
function pending({ identity: { name, fingerprint } }: FromDevice<unknown>): OtaError {
  return new OtaError(
    "device_pending",
    `Cannot offer the device "${name}" anything before an operator accepts its key ${fingerprint}`,
  );
}

/** Every accepted device may have its channel's current release at once. */
function offerOf(head: StoredRelease | null): Directive["offer"] {
  if (head === null) return null;
  const { channel, revision, digest } = head;
  return {
    channel,
    revision,
    digest,
    stage: true,
    activate: true,
    reason: `Revision ${revision} is the current release of "${channel}"`,
  };
}
