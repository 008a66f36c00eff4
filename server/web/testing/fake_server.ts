/**
 * The server's own API for operators and its own event stream over a pretended fleet, with the dashboard on top: for
 * development, pictures and browser tests.
 * @module
 */
import { Hono } from "hono";
import { createAccess } from "../../access.ts";
import { createEventHub } from "../../api/event_hub.ts";
import { addEvents } from "../../api/events.ts";
import { addFleetApi } from "../../api/fleet.ts";
import type { App, AppDeps } from "../../deps.ts";
import { answerError } from "../../errors.ts";
import { type DashboardDeps, mountDashboard } from "../mod.ts";

/** An app over a pretended fleet. */
export interface FakeApp {
  readonly app: App;
  /** Ends the event streams. */
  stop(): void;
}

/** Makes an app that shows a fleet. */
export function createFakeApp(dashboard: DashboardDeps): FakeApp {
  const { reader } = dashboard;
  const access = createAccess({
    publishTokens: [],
    enrolTokens: [],
    readTokens: { make: () => "", check: () => null },
    releaseReads: "open",
    behindProxy: false,
    isAccepted: () => false,
    now: Date.now,
  });
  // Reading needs no more than these two; nothing here writes.
  const deps = { reader, access } as AppDeps;
  const first = () => ({ kind: "fleet", fleet: reader.fleet() }) as const;
  const hub = createEventHub({ first, subscribe: (listener) => reader.subscribe(listener) }, crypto.randomUUID());
  const app: App = new Hono();
  app.onError((error, c) => answerError(error, c, () => {}));
  addFleetApi(app, deps);
  addEvents(app, deps, hub);
  mountDashboard(app, dashboard);
  return { app, stop: () => hub.stop() };
}

/** What a listener on this machine tells of its requests. */
export const LOCAL_PEER = { clientAddress: "127.0.0.1" } as const;
