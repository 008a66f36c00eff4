/**
 * nix-ota-server: joins the server and its pages, and meets the outside.
 * @module
 */
import { messageOf } from "@nix-ota/common";
import { type App, type AppDeps, mountDashboard, readAccess, readAssets, runCli } from "@nix-ota/server";
import { islands, routes } from "./routes/manifest.gen.ts";

const encoder = new TextEncoder();

/** Resolves at the first SIGTERM or SIGINT; a second one ends the process at once. */
function untilStopped(): Promise<void> {
  return new Promise((resolve) => {
    let asked = false;
    const stop = (): void => {
      if (asked) Deno.exit(130);
      asked = true;
      resolve();
    };
    Deno.addSignalListener("SIGTERM", stop);
    Deno.addSignalListener("SIGINT", stop);
  });
}

function mountPages(app: App, { reader, access, log }: AppDeps): void {
  mountDashboard(app, {
    routes,
    islands,
    reader,
    access: readAccess(access),
    assets: readAssets(new URL("./dist/", import.meta.url)),
    onFault: (error, path) => log("error", "page_failed", { path, error: messageOf(error) }),
  });
}

const code = await runCli(Deno.args, {
  out: (text) => void Deno.stdout.writeSync(encoder.encode(text)),
  err: (text) => void Deno.stderr.writeSync(encoder.encode(text)),
  untilStopped,
}, mountPages);
Deno.exit(code);
