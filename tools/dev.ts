/**
 * Development: the dashboard over a pretended fleet that keeps updating, on http://127.0.0.1:8000. `deno task dev`
 * restarts it at every change, and the page then reloads by itself.
 * @module
 */
import type { App } from "@/server/deps.ts";
import type { Assets } from "@/server/web/mod.ts";
import { messageOf } from "@nix-ota/common";
import { createFakeApp, LOCAL_PEER } from "@/server/web/testing/fake_server.ts";
import { busyFleet, type FakeFleet, fakeRelease } from "@/server/web/testing/fake_fleet.ts";
import { Hono } from "hono";
import { streamSSE } from "hono/streaming";
import { bundle } from "./bundle.ts";
import { islandNames, writeManifest } from "./manifest.ts";
import { say } from "./say.ts";

const STEP_MS = 400;
/** A pause between two updates, long enough to look at the end of one. */
const PUBLISH_MS = 30_000;
const RELOAD_SCRIPT = "/dev/reload.js";
const RELOAD_EVENTS = "/dev/boot";

async function devAssets(): Promise<Assets> {
  const { files, manifest } = await bundle({ islands: await islandNames(), dev: true });
  return {
    manifest: { ...manifest, encodings: {} },
    files: new Map([...files].map(([name, plain]) => [name, { plain, encoded: {} }])),
    scripts: [RELOAD_SCRIPT],
  };
}

/** Tells the page which process answers: another one means that something changed. */
function reloader(stop: AbortSignal): App {
  const boot = crypto.randomUUID();
  const app: App = new Hono();
  app.get(RELOAD_SCRIPT, (c) =>
    c.body(
      `let seen;
new EventSource("${RELOAD_EVENTS}").onmessage = ({ data }) => {
  if (seen && seen !== data) location.reload();
  seen = data;
};`,
      200,
      { "content-type": "text/javascript", "cache-control": "no-store" },
    ));
  app.get(RELOAD_EVENTS, (c) =>
    streamSSE(c, async (stream) => {
      const ended = new Promise<void>((done) => {
        stream.onAbort(done);
        stop.addEventListener("abort", () => done());
      });
      await stream.writeSSE({ data: boot, retry: 50 });
      await ended;
    }));
  return app;
}

function keepUpdating(fleet: FakeFleet): void {
  let revision = 42;
  setInterval(() => fleet.step(), STEP_MS);
  setInterval(() => {
    const { devices } = fleet.fleet();
    if (devices.updating + devices.waiting > 0) return;
    revision += 1;
    fleet.publish(
      fakeRelease("prod", revision, { publishedMs: Date.now(), notes: `Development release ${revision}` }),
    );
  }, PUBLISH_MS);
}

async function main(): Promise<void> {
  await writeManifest();
  // Only now, so that a deleted route does not stop the start.
  const { routes, islands } = await import("@/routes/manifest.gen.ts");
  const stop = new AbortController();
  const fleet = busyFleet(Date.now);
  const onFault = (error: unknown): void => say(messageOf(error));
  const fake = createFakeApp({ reader: fleet, assets: await devAssets(), routes, islands, onFault });
  const app: App = new Hono();
  app.route("/", reloader(stop.signal));
  app.route("/", fake.app);
  keepUpdating(fleet);
  const port = Number(Deno.env.get("PORT") ?? 8000);
  const server = Deno.serve({ port, hostname: "127.0.0.1" }, (request) => app.fetch(request, LOCAL_PEER));
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, () => {
      stop.abort();
      fake.stop();
      void server.shutdown().then(() => Deno.exit(0));
    });
  }
}

if (import.meta.main) await main();
