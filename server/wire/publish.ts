/** `POST /channels/<c>/publish` (protocol 5.2) and `PUT …/closures/<system>/<variant>` (5.3). */
import {
  type Bytes,
  decodeUtf8,
  digestOf,
  ENVELOPE_CONTENT_TYPE,
  fingerprintOf,
  formatTimestamp,
  OtaError,
  parseClosureListing,
  parseEnvelope,
  parseSignerKeys,
  parseTimestamp,
  type PublishAnswer,
  type Release,
  REQUEST_LIMITS,
  SIGNER_KEYS_HEADER,
  signersOf,
  verifyRelease,
} from "@nix-ota/common";
import { readBody } from "../body.ts";
import type { App, AppDeps } from "../deps.ts";
import { addRoute, pathName, type RouteHandler } from "../router.ts";
import { CHANNELS_MAX } from "../store/fleet_queries.ts";
import { LISTING_CONTENT_TYPE, pathTarget } from "./channels.ts";

const PUBLISH_BODY = { contentType: ENVELOPE_CONTENT_TYPE, maxBytes: REQUEST_LIMITS.publishBytes } as const;
const LISTING_BODY = { contentType: LISTING_CONTENT_TYPE, maxBytes: REQUEST_LIMITS.listingBytes } as const;

/** Adds the route that publishes. */
export function addPublish(app: App, deps: AppDeps): void {
  const { policy, store, access, trustKeys, waiters, now, log } = deps;

  const publish: RouteHandler = async (c) => {
    const actor = access.requirePublisher(c);
    const channel = pathName(c, "channel");
    const body = await readBody(c.req.raw, PUBLISH_BODY);
    const offered = parseSignerKeys(c.req.header(SIGNER_KEYS_HEADER));
    const { keys, pin } = await trustKeys.forPublish(body, offered);
    const { release, digest } = await verifyRelease(body, { ...keys, fleet: policy.fleet, channel });
    checkNotExpired(release, now());
    const signers = await Promise.all((await signersOf(parseEnvelope(body), keys.keys)).map(fingerprintOf));
    const { revision } = release;
    const job = { release, digest, envelope: decodeUtf8(body), signers, pin, channelsMax: CHANNELS_MAX, actor };
    const { isNew } = await store.submit<"publish">({ kind: "publish", nowMs: now(), ...job });
    if (isNew) {
      if (pin !== null) log("warn", "keys_pinned", { channel, keys: signers.join(" ") });
      log("info", "release_published", { channel, revision, digest, signers: signers.join(" "), actor });
      waiters.wake(channel);
    }
    const answer: PublishAnswer = { channel, revision, digest };
    return c.json(answer, isNew ? 201 : 200);
  };

  addRoute(app, "/channels/:channel/publish", { POST: publish });
}

/** Makes the handler that keeps closure listings: only the text whose digest was signed, so it needs no trust. */
export function createPutListing({ store, access, log }: AppDeps): RouteHandler {
  return async (c) => {
    const actor = access.requirePublisher(c);
    const target = pathTarget(c);
    const wanted = store.closureDigest(target);
    if (wanted === null) {
      throw new OtaError("not_found", "Cannot keep the closure listing as no release has this target");
    }
    const body = await readBody(c.req.raw, LISTING_BODY);
    const found = await digestOf(body);
    if (found !== wanted) {
      throw new OtaError(
        "closure_mismatch",
        `Cannot keep the closure listing as its digest is ${found}: signed is ${wanted}`,
      );
    }
    const listing = readListing(body);
    const { isNew } = await store.submit<"listing">({ kind: "listing", digest: found, listing });
    if (isNew) log("info", "listing_kept", { ...target, digest: found, actor });
    return c.body(null, isNew ? 201 : 204);
  };
}

/** Whoever signed the digest may still have signed rubbish: what pages are made of has the documented form. */
function readListing(body: Bytes): string {
  parseClosureListing(body);
  return decodeUtf8(body);
}

function checkNotExpired({ revision, expires }: Release, nowMs: number): void {
  if (nowMs < (parseTimestamp(expires) ?? 0)) return;
  throw new OtaError(
    "release_expired",
    `Cannot publish revision ${revision} as it expired at ${expires}: now is ${
      formatTimestamp(nowMs)
    } (sign a new one)`,
  );
}
