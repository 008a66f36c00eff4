/** `POST /checkin/log` (protocol 4.7). */
import { cleanText, ENVELOPE_CONTENT_TYPE, parseLogDocument, paths, redact, REQUEST_LIMITS } from "@nix-ota/common";
import { readBody } from "../body.ts";
import type { App, AppDeps } from "../deps.ts";
import { addRoute, type RouteHandler } from "../router.ts";
import { checkNotRejected, type DeviceEnvelopes } from "./device_envelope.ts";

const BODY = { contentType: ENVELOPE_CONTENT_TYPE, maxBytes: REQUEST_LIMITS.logBytes } as const;

/** Adds the route. */
export function addDeviceLog(app: App, { store, now, log }: AppDeps, envelopes: DeviceEnvelopes): void {
  const takeLog: RouteHandler = async (c) => {
    const from = await envelopes.open(await readBody(c.req.raw, BODY), "log", parseLogDocument);
    checkNotRejected(from);
    const { document: { seq, channel, revision, digest, log: text }, identity: { name, fingerprint } } = from;
    await store.submit<"log">({
      kind: "log",
      nowMs: now(),
      name,
      fingerprint,
      seq,
      channel,
      revision,
      digest,
      log: redact(cleanText(text)),
    });
    log("info", "device_log", { device: name, channel, revision });
    return c.body(null, 204);
  };
  addRoute(app, paths.log, { POST: takeLog });
}
