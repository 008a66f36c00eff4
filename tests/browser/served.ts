/**
 * The dashboard over a pretended fleet on a free port of this machine, with the assets of a production build.
 * @module
 */
import { islands, routes } from "@/routes/manifest.gen.ts";
import type { FleetReader } from "@/server/fleet_reader.ts";
import type { Assets } from "@/server/web/mod.ts";
import { createFakeApp, LOCAL_PEER } from "@/server/web/testing/fake_server.ts";
import { buildAssets } from "@/tools/build.ts";

/** A running server. */
export interface Served {
  /** Such as `http://127.0.0.1:40000`. */
  readonly origin: string;
  readonly port: number;
  /** Errors that pages threw. */
  readonly faults: readonly unknown[];
  stop(): Promise<void>;
}

let built: Promise<Assets> | undefined;

/** Starts a server; on the port of an earlier one where given. */
export async function serve(reader: FleetReader, { port = 0 }: { port?: number } = {}): Promise<Served> {
  built ??= buildAssets().then(({ assets }) => assets);
  const faults: unknown[] = [];
  const onFault = (error: unknown): void => void faults.push(error);
  const { app, stop } = createFakeApp({ reader, assets: await built, routes, islands, onFault });
  const listen = { port, hostname: "127.0.0.1", onListen: () => {} };
  const server = Deno.serve(listen, (request) => app.fetch(request, LOCAL_PEER));
  return {
    origin: `http://127.0.0.1:${server.addr.port}`,
    port: server.addr.port,
    faults,
    async stop() {
      stop();
      await server.shutdown();
    },
  };
}
