/** The operator API (`/api/v1`): what operators read, and what they decide about devices. */
import {
  FINGERPRINT_PATTERN,
  type Infer,
  Name,
  operatorPaths,
  OtaError,
  PAGE_MAX,
  Revision,
  schema,
  SchemaError,
  type Standing,
  STANDINGS,
} from "@nix-ota/common";
import { parseJsonBody } from "../body.ts";
import type { App, AppDeps } from "../deps.ts";
import { addRoute, pathName, pathRevision, type RouteContext, type RouteHandler } from "../router.ts";

/** Rows on a page where the request does not say. */
const PAGE_DEFAULT = 50;

/** What an operator decides about: the device as they saw it. */
type Decision = Infer<typeof Decision>;
const Decision = schema.closed({
  fingerprint: schema.string({
    pattern: FINGERPRINT_PATTERN,
    max: 50,
    wanted: "the device's fingerprint, SHA256: and 43 characters",
  }),
});

/** Adds the routes. */
export function addFleetApi(app: App, deps: AppDeps): void {
  const { reader, access } = deps;
  const reads = (handler: RouteHandler): RouteHandler => (c) => {
    access.requireReader(c);
    return handler(c);
  };

  const device: RouteHandler = (c) => {
    const deviceId = pathName(c, "id");
    const row = reader.device(deviceId);
    if (row === null) throw new OtaError("not_found", `Cannot find a device named "${deviceId}"`);
    return answer(c, row);
  };

  const devices: RouteHandler = (c) =>
    answer(
      c,
      reader.devices({
        channel: query(c, "channel", Name),
        standing: query(c, "standing", schema.oneOf(STANDINGS)) as Standing | null,
        after: query(c, "after", Name),
        limit: pageLimit(c),
      }),
    );

  const releases: RouteHandler = (c) =>
    answer(
      c,
      reader.releases({
        channel: query(c, "channel", Name),
        before: query(c, "before", (text, at) => Revision(wholeNumber(text), at)),
        limit: pageLimit(c),
      }),
    );

  const progress: RouteHandler = (c) => {
    const channel = pathName(c, "channel");
    const revision = pathRevision(c);
    const found = reader.progress(channel, revision);
    if (found === null) throw new OtaError("not_found", `Cannot find revision ${revision} on "${channel}"`);
    return answer(c, found);
  };

  addRoute(app, operatorPaths.fleet, { GET: reads((c) => answer(c, reader.fleet())) });
  addRoute(app, operatorPaths.devices, { GET: reads(devices) });
  addRoute(app, operatorPaths.device(":id"), { GET: reads(device) });
  addRoute(app, operatorPaths.releases, { GET: reads(releases) });
  addRoute(app, "/api/v1/releases/:channel/:revision/progress", { GET: reads(progress) });
  addRoute(app, operatorPaths.accept(":id"), { POST: createDecide(deps, "accepted") });
  addRoute(app, operatorPaths.reject(":id"), { POST: createDecide(deps, "rejected") });
}

function createDecide({ store, reader, access, now, log }: AppDeps, status: "accepted" | "rejected"): RouteHandler {
  return async (c) => {
    const actor = access.requirePublisher(c);
    const name = pathName(c, "id");
    const { fingerprint } = await parseJsonBody(c.req.raw, Decision);
    const { changed } = await store.submit<"decide">({
      kind: "decide",
      nowMs: now(),
      name,
      fingerprint,
      status,
      actor,
    });
    if (changed) log("info", `device_${status}`, { device: name, fingerprint, actor });
    return answer(c, reader.device(name));
  };
}

/** What operators see changes all the time and is for their eyes only. */
function answer(c: RouteContext, body: object | null): Response {
  return c.json(body, 200, { "cache-control": "no-store" });
}

function query<T>(c: RouteContext, key: string, parser: (value: string, at: string) => T): T | null {
  const value = c.req.query(key);
  if (value === undefined || value === "") return null;
  try {
    return parser(value, key);
  } catch (cause) {
    if (!(cause instanceof SchemaError)) throw cause;
    throw new OtaError("request_invalid", `Cannot read the query: ${cause.message}`, { cause });
  }
}

function pageLimit(c: RouteContext): number {
  return query(c, "limit", (text, at) => schema.integer(1, PAGE_MAX)(wholeNumber(text), at)) ?? PAGE_DEFAULT;
}

function wholeNumber(text: string): number | string {
  return /^\d{1,16}$/.test(text) ? Number(text) : text;
}
