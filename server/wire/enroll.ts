/** `POST /enroll` (protocol 4.2). */
import {
  ENVELOPE_CONTENT_TYPE,
  fingerprintOf,
  importVerifier,
  OtaError,
  parseEnrol,
  parsePublicKey,
  paths,
  REQUEST_LIMITS,
} from "@nix-ota/common";
import type { EnrolAnswer } from "@nix-ota/common";
import { readBody } from "../body.ts";
import type { App, AppDeps } from "../deps.ts";
import { createRateLimit } from "../rate_limit.ts";
import { addRoute, type RouteHandler } from "../router.ts";
import type { EnrolJob } from "../store/jobs.ts";
import { recordFacts } from "./clean_state.ts";
import { checkFleet, checkSignature, parseDeviceEnvelope } from "./device_envelope.ts";
import { makeNonce, spreadSeconds } from "./nonce.ts";

/** Devices that may wait for an operator: more than one would look through. */
const PENDING_MAX = 1000;
/** A rack of devices behind one address may start at once; after that, one a second. */
const ENROL_RATE = { burst: 120, perMinute: 60 } as const;

/** Adds the route. */
export function addEnroll(app: App, deps: AppDeps): void {
  const { policy, store, access, now, random, log } = deps;
  const limit = createRateLimit(ENROL_RATE);

  function admissionOf(token: string | null): EnrolJob["admission"] {
    if (access.isEnrolToken(token) || policy.enrolment === "open") return "accepted";
    return policy.enrolment === "token" ? "refused" : "pending";
  }

  /** Strangers cannot fill the list of those who wait in a moment; who has a token is none. */
  function checkRate(address: string): void {
    const waitSeconds = limit(address, now());
    if (waitSeconds === null) return;
    throw new OtaError("rate_limited", "Cannot take more enrolments from this address for now", {
      extra: { retryAfter: waitSeconds },
    });
  }

  const enroll: RouteHandler = async (c) => {
    const address = c.env?.clientAddress ?? "unknown";
    const rule = { contentType: ENVELOPE_CONTENT_TYPE, maxBytes: REQUEST_LIMITS.enrolBytes };
    const envelope = parseDeviceEnvelope(await readBody(c.req.raw, rule), "enrol");
    const document = parseEnrol(envelope.payload);
    const { deviceId: name, channel, facts } = document;
    if (!access.isEnrolToken(document.token)) checkRate(address);
    const key = readKey(document.publicKey);
    await checkSignature(envelope, await importVerifier(key.bytes), name);
    checkFleet(document.fleet, policy.fleet);
    const fingerprint = await fingerprintOf(key);
    const { status, nonce, changed } = await store.submit<"enrol">({
      kind: "enrol",
      nowMs: now(),
      name,
      publicKey: key.bytes,
      fingerprint,
      facts: { channel, system: facts.system, variant: facts.variant },
      ...recordFacts(document),
      admission: admissionOf(document.token),
      nonce: makeNonce(),
      pendingMax: PENDING_MAX,
      actor: address,
    });
    if (changed) log("info", "device_enrolled", { device: name, status, fingerprint, channel, address });
    const answer: EnrolAnswer = {
      v: 1,
      status,
      nonce,
      pollAfterSeconds: spreadSeconds(policy.pollSeconds, random),
    };
    return c.json(answer);
  };

  addRoute(app, paths.enroll, { POST: enroll });
}

function readKey(text: string): ReturnType<typeof parsePublicKey> {
  try {
    return parsePublicKey(text);
  } catch (cause) {
    throw new OtaError(
      "payload_invalid",
      "Cannot read the signed payload: payload.publicKey must be a safe Ed25519 key",
      {
        cause,
      },
    );
  }
}
