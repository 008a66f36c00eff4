/**
 * The dashboard over a pretended fleet on a free port of this machine.
 * @module
 */
import { islands, routes } from "@/routes/manifest.gen.ts";
import type { FleetReader } from "@/server/fleet_reader.ts";
import { type Assets, readAssets } from "@/server/web/mod.ts";
import { createFakeApp } from "@/server/web/testing/fake_server.ts";

/** A running server. */
export interface Served {
  /** Such as `http://127.0.0.1:40000`. */
  readonly origin: string;
  readonly port: number;
  /** Errors that pages threw. */
  readonly faults: readonly unknown[];
  stop(): Promise<void>;
}

/** What `deno task build` made. */
export function builtAssets(): Assets {
  return readAssets(new URL("../../dist/", import.meta.url));
}

/** Starts a server; on the port of an earlier one where given. */
export function serve(reader: FleetReader, { port = 0 }: { port?: number } = {}): Served {
  const stopping = new AbortController();
  const faults: unknown[] = [];
  const onFault = (error: unknown): void => void faults.push(error);
  const app = createFakeApp({ reader, assets: builtAssets(), routes, islands, onFault }, stopping.signal);
  const server = Deno.serve({ port, hostname: "127.0.0.1", onListen: () => {} }, app.fetch);
  return {
    origin: `http://127.0.0.1:${server.addr.port}`,
    port: server.addr.port,
    faults,
    async stop() {
      stopping.abort();
      await server.shutdown();
    },
  };
}
