/**
 * What others use of the server: the program, and the port through which pages see the fleet.
 * @module
 */
export { type Access, readAccess } from "./access.ts";
export { type CliIo, EXIT, runCli } from "./cli.ts";
export type { App, AppDeps, RequestEnv } from "./deps.ts";
export type { DeviceQuery, FleetReader, ReleaseQuery } from "./fleet_reader.ts";
export { processIo } from "./process_io.ts";
export { type RunningServer, type StartOptions, startServer } from "./start.ts";
export { parseConfig } from "./config.ts";
export { mountDashboard, readAssets } from "./web/mod.ts";
