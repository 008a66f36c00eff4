/**
 * The part of the operator API that pages use, over a pretended fleet, with the dashboard on top: for development,
 * pictures and browser tests.
 * @module
 */
import { type FleetEvent, Name, operatorPaths, PAGE_MAX, type Standing } from "@nix-ota/common";
import { type Context, Hono } from "hono";
import { streamSSE } from "hono/streaming";
import type { DeviceQuery, FleetReader } from "../../fleet_reader.ts";
import { type DashboardDeps, mountDashboard } from "../mod.ts";

/** An app that shows a fleet. `stop` ends its event streams. */
export function createFakeApp(deps: DashboardDeps, stop: AbortSignal): Hono {
  const app = new Hono();
  const { reader } = deps;
  app.get(operatorPaths.fleet, (c) => c.json(reader.fleet()));
  app.get(operatorPaths.devices, (c) => c.json(reader.devices(queryOf(c))));
  app.get(operatorPaths.releases, (c) => c.json(reader.releases({ channel: null, before: null, limit: limitOf(c) })));
  app.get(operatorPaths.events, (c) => events(c, reader, stop));
  mountDashboard(app, deps);
  return app;
}

function limitOf(c: Context): number {
  return Math.min(PAGE_MAX, Number(c.req.query("limit") ?? PAGE_MAX));
}

function queryOf(c: Context): DeviceQuery {
  const name = (key: string): string | null => c.req.query(key) ? Name(c.req.query(key), key) : null;
  const standing = (c.req.query("standing") ?? null) as Standing | null; // Of the pages' own making.
  return { channel: name("channel"), standing, after: name("after"), limit: limitOf(c) };
}

function events(c: Context, reader: FleetReader, stop: AbortSignal): Response {
  return streamSSE(c, async (stream) => {
    const queue: FleetEvent[] = [];
    let wake = (): void => {};
    const off = reader.subscribe((event) => {
      queue.push(event);
      wake();
    });
    const end = (): void => wake();
    stream.onAbort(end);
    stop.addEventListener("abort", end);
    await stream.write(": hello\n\n");
    while (!stream.aborted && !stop.aborted) {
      const event = queue.shift();
      if (event) await stream.writeSSE({ event: event.kind, data: JSON.stringify(event) });
      else await new Promise<void>((done) => wake = done);
    }
    off();
    stop.removeEventListener("abort", end);
  });
}
