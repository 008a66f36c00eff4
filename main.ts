/**
 * nix-ota-server: joins the server and its pages.
 * @module
 */
import { messageOf } from "@nix-ota/common";
import { type App, type AppDeps, mountDashboard, processIo, readAccess, readAssets, runCli } from "@nix-ota/server";
import { islands, routes } from "./routes/manifest.gen.ts";

function mountPages(app: App, { reader, access, log, policy }: AppDeps): void {
  mountDashboard(app, {
    routes,
    islands,
    reader,
    access: readAccess(access),
    ...(policy.publicUrl === null ? {} : { origin: policy.publicUrl }),
    assets: readAssets(new URL("./dist/", import.meta.url)),
    onFault: (error, path) => log("error", "page_failed", { path, error: messageOf(error) }),
  });
}

Deno.exit(await runCli(Deno.args, processIo(), mountPages));
