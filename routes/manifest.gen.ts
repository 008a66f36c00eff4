// Made by `deno task gen` from the files in routes/ and islands/. Do not edit.
import type { IslandModules, Routes } from "@/server/web/mod.ts";
import * as route0 from "./_404.tsx";
import * as route1 from "./_app.tsx";
import * as route2 from "./_error.tsx";
import * as route3 from "./_layout.tsx";
import * as route4 from "./devices/[id].tsx";
import * as route5 from "./index.tsx";
import * as island0 from "../islands/DeviceLive.tsx";
import * as island1 from "../islands/FleetLive.tsx";

/** The files of routes/ by path without extension. */
export const routes: Routes = {
  "_404": route0,
  "_app": route1,
  "_error": route2,
  "_layout": route3,
  "devices/[id]": route4,
  "index": route5,
};

/** The islands by name. */
export const islands: IslandModules = {
  "DeviceLive": island0,
  "FleetLive": island1,
};
