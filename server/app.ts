/**
 * The application: every route of devices, publishers and operators, over what it is handed.
 * @module
 */
import { OtaError } from "@nix-ota/common";
import { Hono } from "hono";
import { addEvents } from "./api/events.ts";
import type { EventHub } from "./api/event_hub.ts";
import { addFleetApi } from "./api/fleet.ts";
import type { App, AppDeps, RequestEnv } from "./deps.ts";
import { answerError, problem } from "./errors.ts";
import { addRoute } from "./router.ts";
import { addChannels } from "./wire/channels.ts";
import { addCheckin } from "./wire/checkin.ts";
import { createDeviceEnvelopes } from "./wire/device_envelope.ts";
import { addDeviceLog } from "./wire/device_log.ts";
import { addEnroll } from "./wire/enroll.ts";
import { addPublish, createPutListing } from "./wire/publish.ts";

/** Below these there are no pages: what is not found there is answered as a problem. */
const API_PATHS = ["/enroll/*", "/checkin/*", "/channels/*", "/api/*"] as const;

/**
 * Makes the application; `app.request()` is enough to use it. Pages may be added to it after: the routes here answer
 * their own errors and never fall through to another handler for errors or for what is not found.
 */
export function createApp(deps: AppDeps, hub: EventHub): App {
  const routes: App = new Hono<{ Bindings: RequestEnv }>();
  routes.onError((error, c) => answerError(error, c, deps.log));
  addHealth(routes, deps);
  addEnroll(routes, deps);
  const envelopes = createDeviceEnvelopes({ fleet: deps.policy.fleet, identity: deps.store.identity });
  addCheckin(routes, deps, envelopes);
  addDeviceLog(routes, deps, envelopes);
  addPublish(routes, deps);
  addChannels(routes, deps, createPutListing(deps));
  addFleetApi(routes, deps);
  addEvents(routes, deps, hub);
  for (const path of API_PATHS) routes.all(path, (c) => problem(noSuchPath(c.req.path)));

  const app: App = new Hono<{ Bindings: RequestEnv }>();
  app.route("/", routes);
  app.notFound((c) => problem(noSuchPath(c.req.path)));
  app.onError((error, c) => answerError(error, c, deps.log));
  return app;
}

function addHealth(app: App, { isReady }: AppDeps): void {
  const headers = { "cache-control": "no-store" };
  addRoute(app, "/healthz", { GET: (c) => c.text("ok\n", 200, headers) });
  addRoute(app, "/readyz", {
    GET: async (c) => {
      if (await isReady()) return c.text("ready\n", 200, headers);
      throw new OtaError("not_ready", "Cannot take requests as the server is starting, stopping or cannot write", {
        extra: { retryAfter: 5 },
      });
    },
  });
}

function noSuchPath(path: string): OtaError {
  return new OtaError("not_found", `Cannot find the path "${path.slice(0, 200)}"`);
}
