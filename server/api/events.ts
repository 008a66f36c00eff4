/** `GET /api/v1/events`: the fleet's news as server-sent events. */
import { operatorPaths, OtaError } from "@nix-ota/common";
import type { App, AppDeps } from "../deps.ts";
import { addRoute } from "../router.ts";
import type { EventHub } from "./event_hub.ts";

/** Adds the route. */
export function addEvents(app: App, { access }: AppDeps, hub: EventHub): void {
  addRoute(app, operatorPaths.events, {
    GET: (c) => {
      access.requireReader(c);
      const headers = {
        "content-type": "text/event-stream",
        "cache-control": "no-store",
        "x-accel-buffering": "no", // Else nginx keeps events until it has a page of them.
      };
      if (c.req.method === "HEAD") return new Response(null, { headers });
      const stream = hub.open(c.req.header("last-event-id") ?? null);
      if (stream !== null) return new Response(stream, { headers });
      throw new OtaError("overloaded", "Cannot open another stream of events as too many are open", {
        extra: { retryAfter: 30 },
      });
    },
  });
}
