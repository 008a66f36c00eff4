/** Reading releases (protocol 5.1) and closure listings (5.3). */
import {
  encodeUtf8,
  ENVELOPE_CONTENT_TYPE,
  formatEtag,
  matchesEtag,
  OtaError,
  parsePreferWait,
  SystemName,
} from "@nix-ota/common";
import type { App, AppDeps } from "../deps.ts";
import { addRoute, pathName, pathRevision, type RouteContext, type RouteHandler } from "../router.ts";
import type { StoredRelease, TargetAddress } from "../store/wire_queries.ts";

/** Content type of a closure listing. */
export const LISTING_CONTENT_TYPE = "text/plain";

/** Adds the routes that read. */
export function addChannels(app: App, deps: AppDeps, putListing: RouteHandler): void {
  const { policy, store, waiters, access } = deps;
  const shared = policy.releaseReads === "open" ? "public" : "private";
  const immutable = `${shared}, max-age=31536000, immutable`;
  // Caches may keep it, but have to ask each time.
  const current = `${shared}, no-cache`;

  const getCurrent: RouteHandler = async (c) => {
    access.requireReleaseReader(c);
    const channel = pathName(c, "channel");
    const known = c.req.header("if-none-match");
    const isNews = (head: StoredRelease | null): boolean => head !== null && !matchesEtag(known, head.etag);
    const seconds = c.req.method === "HEAD" ? 0 : parsePreferWait(c.req.header("prefer"));
    if (seconds > 0 && !isNews(store.head(channel))) {
      await waiters.wait({ channel, key: access.readingDevice(c), ms: seconds * 1000 });
    }
    const head = store.head(channel);
    if (head === null) throw new OtaError("not_found", `Cannot find a release on the channel "${channel}"`);
    return isNews(head) ? answerEnvelope(head, current) : notModified(head.etag, current);
  };

  const getRelease: RouteHandler = (c) => {
    access.requireReleaseReader(c);
    const channel = pathName(c, "channel");
    const revision = pathRevision(c);
    const release = store.release(channel, revision);
    if (release === null) throw new OtaError("not_found", `Cannot find revision ${revision} on "${channel}"`);
    if (matchesEtag(c.req.header("if-none-match"), release.etag)) return notModified(release.etag, immutable);
    return answerEnvelope(release, immutable);
  };

  const getListing: RouteHandler = (c) => {
    access.requireReleaseReader(c);
    const digest = store.closureDigest(pathTarget(c));
    const listing = digest === null ? null : store.listing(digest);
    if (digest === null || listing === null) {
      throw new OtaError("not_found", "Cannot find the closure listing as none was sent for this target");
    }
    const etag = formatEtag(digest);
    if (matchesEtag(c.req.header("if-none-match"), etag)) return notModified(etag, immutable);
    const headers = { "content-type": `${LISTING_CONTENT_TYPE}; charset=utf-8`, "cache-control": immutable, etag };
    return new Response(listing, { headers });
  };

  addRoute(app, "/channels/:channel/current", { GET: getCurrent });
  addRoute(app, "/channels/:channel/releases/:revision", { GET: getRelease });
  addRoute(app, "/channels/:channel/releases/:revision/closures/:system/:variant", {
    GET: getListing,
    PUT: putListing,
  });
}

/** The target that a path names. @throws {OtaError} `not_found` where it cannot be one. */
export function pathTarget(c: RouteContext): TargetAddress {
  const system = c.req.param("system") ?? "";
  try {
    SystemName(system, "system");
  } catch (cause) {
    throw new OtaError("not_found", "Cannot find the target as its system is not one", { cause });
  }
  return { channel: pathName(c, "channel"), revision: pathRevision(c), system, variant: pathName(c, "variant") };
}

function answerEnvelope({ envelope, etag }: StoredRelease, cacheControl: string): Response {
  const headers = {
    "content-type": ENVELOPE_CONTENT_TYPE,
    "content-length": String(encodeUtf8(envelope).length),
    "cache-control": cacheControl,
    etag,
  };
  return new Response(envelope, { headers });
}

function notModified(etag: string, cacheControl: string): Response {
  return new Response(null, { status: 304, headers: { etag, "cache-control": cacheControl } });
}
