/** A TCP forwarder in front of a server: what a device's network cable is to a namespace that shares the host's network. */

import { pause } from "./wait.ts";

/** An address that leads to a server as long as the gate is up. */
export type NetGate = {
  /** The server's URL with the gate's port. */
  readonly url: string;
  /** Down refuses new connections and cuts the open ones; up listens on the same port again. */
  set(state: "up" | "down"): Promise<void>;
  close(): Promise<void>;
};

/** How long the gate tries to get its port back. */
const LISTEN_ATTEMPTS = 50;
const LISTEN_RETRY_MS = 100;

/** Opens a gate on 127.0.0.1 in front of the server of `url`. */
export function openNetGate(url: string): NetGate {
  const upstream = new URL(url);
  const target = { hostname: upstream.hostname, port: Number(upstream.port) };
  let listener: Deno.Listener | undefined = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const port = (listener.addr as Deno.NetAddr).port;
  const connections = new Set<Deno.Conn>();
  void serve(listener, target, connections);

  async function set(state: "up" | "down"): Promise<void> {
    if (state === "down") {
      listener?.close();
      listener = undefined;
      for (const connection of connections) closeQuietly(connection);
    } else if (listener === undefined) {
      listener = await listenAgain(port);
      void serve(listener, target, connections);
    }
  }
  const gated = new URL(url);
  gated.hostname = "127.0.0.1";
  gated.port = String(port);
  return { url: url.endsWith("/") ? gated.href : gated.href.replace(/\/$/, ""), set, close: () => set("down") };
}

type Target = { hostname: string; port: number };

async function serve(listener: Deno.Listener, target: Target, connections: Set<Deno.Conn>): Promise<void> {
  for await (const client of listener) void forward(client, target, connections);
}

async function forward(client: Deno.Conn, target: Target, connections: Set<Deno.Conn>): Promise<void> {
  connections.add(client);
  let server: Deno.Conn | undefined;
  try {
    server = await Deno.connect(target);
    connections.add(server);
    await Promise.all([client.readable.pipeTo(server.writable), server.readable.pipeTo(client.writable)]);
  } catch {
    // Either side went away, which the other one learns by its own connection ending.
  } finally {
    for (const connection of [client, server]) {
      if (connection === undefined) continue;
      closeQuietly(connection);
      connections.delete(connection);
    }
  }
}

async function listenAgain(port: number): Promise<Deno.Listener> {
  for (let attempt = 1;; attempt++) {
    try {
      return Deno.listen({ hostname: "127.0.0.1", port });
    } catch (error) {
      if (attempt === LISTEN_ATTEMPTS || !(error instanceof Deno.errors.AddrInUse)) throw error;
      await pause(LISTEN_RETRY_MS);
    }
  }
}

function closeQuietly(connection: Deno.Conn): void {
  try {
    connection.close();
  } catch {
    // Closed by its own end already.
  }
}
