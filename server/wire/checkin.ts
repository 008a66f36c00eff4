/** `POST /checkin` and `POST /checkin/log` (protocol 4.3 to 4.5, 4.7). */
import {
  cleanText,
  type Directive,
  ENVELOPE_CONTENT_TYPE,
  formatTimestamp,
  OtaError,
  parseCheckin,
  parseLogDocument,
  paths,
  PINNED_ROOT,
  redact,
  REQUEST_LIMITS,
} from "@nix-ota/common";
import { readBody } from "../body.ts";
import type { App, AppDeps } from "../deps.ts";
import { addRoute, type RouteHandler } from "../router.ts";
import type { StoredRelease } from "../store/wire_queries.ts";
import { recordState } from "./clean_state.ts";
import type { DeviceEnvelopes, FromDevice } from "./device_envelope.ts";
import { makeNonce, spreadSeconds } from "./nonce.ts";

const CHECKIN_BODY = { contentType: ENVELOPE_CONTENT_TYPE, maxBytes: REQUEST_LIMITS.checkinBytes } as const;
const LOG_BODY = { contentType: ENVELOPE_CONTENT_TYPE, maxBytes: REQUEST_LIMITS.logBytes } as const;

/** Adds the routes. */
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
    if (outcome.told) logStory(from);
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

  function logStory({ identity, document }: FromDevice<ReturnType<typeof parseCheckin>>): void {
    const { phase, target, result, reason } = document.state;
    // Results only: the phases in between are in the device's history.
    if (phase !== "idle" || result === null) return;
    log(result.startsWith("succeeded") ? "info" : "warn", "device_result", {
      device: identity.name,
      channel: document.channel,
      revision: target?.revision ?? null,
      result,
      reason,
    });
  }

  const takeLog: RouteHandler = async (c) => {
    const bytes = await readBody(c.req.raw, LOG_BODY);
    const from = await envelopes.open(bytes, "log", parseLogDocument);
    const { document, identity } = from;
    checkNotRejected(from);
    await store.submit<"log">({
      kind: "log",
      nowMs: now(),
      name: identity.name,
      fingerprint: identity.fingerprint,
      seq: document.seq,
      channel: document.channel,
      revision: document.revision,
      digest: document.digest,
      log: redact(cleanText(document.log)),
    });
    log("info", "device_log", { device: identity.name, channel: document.channel, revision: document.revision });
    return c.body(null, 204);
  };

  addRoute(app, paths.checkin, { POST: checkin });
  addRoute(app, paths.log, { POST: takeLog });
}

function checkNotRejected({ identity }: FromDevice<unknown>): void {
  if (identity.status !== "rejected") return;
  throw new OtaError(
    "device_rejected",
    `Cannot take a report of the device "${identity.name}" as an operator rejected it`,
  );
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
