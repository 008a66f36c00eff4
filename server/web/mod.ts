/**
 * The dashboard's walls: file routes, islands, assets, headers. What is shown lives in routes/ and islands/.
 * @module
 */
import type { App } from "../deps.ts";
import { ASSETS_PATH, serveAsset } from "./assets.ts";
import { type IslandModules, registerIslands } from "./islands.tsx";
import { addPages, type PageDeps } from "./router.tsx";

export { type AssetManifest, type Assets, readAssets } from "./assets.ts";
export type { IslandModules } from "./islands.tsx";
export type { AppProps, ErrorPageProps, Handler, LayoutProps, PageProps, PageRequest, Routes } from "./page.ts";

/** What the dashboard is made with; `routes` and `islands` come from routes/manifest.gen.ts. */
export interface DashboardDeps extends PageDeps {
  readonly islands: IslandModules;
}

/**
 * Adds the dashboard to an app. Mount it last: it answers every GET of a browser that nothing else answered with its
 * own "not found" page.
 */
export function mountDashboard(app: App, deps: DashboardDeps): void {
  registerIslands(deps.islands);
  app.get(`${ASSETS_PATH}*`, (c, next) => {
    const response = serveAsset(deps.assets, c.req.raw);
    return response ? Promise.resolve(response) : next();
  });
  addPages(app, deps);
}
