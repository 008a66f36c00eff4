/** The yardstick of the server benchmark: the same listener, a body read and parsed, nothing kept. Prints its port. */
import { Hono } from "hono";
import { listenBehindProxy, listenGuarded } from "@/server/listen.ts";

const app = new Hono();
app.post("/checkin", async (c) => {
  JSON.parse(await c.req.text());
  return c.json({ v: 1, nonce: "n", serverTime: "2026-01-01T00:00:00Z", pollAfterSeconds: 60, root: 0, offer: null });
});
const address = { hostname: "127.0.0.1", port: 0 };
const limits = { connectionsMax: 1000, connectionsPerAddressMax: 1000, receiveMs: 10_000, idleMs: 75_000 };
const { port } = Deno.args[0] === "proxy"
  ? listenBehindProxy(address, app.fetch)
  : await listenGuarded(address, app.fetch, limits);
Deno.stdout.writeSync(new TextEncoder().encode(`${port}\n`));
