/**
 * Where requests come in. Without a proxy the server guards itself from slow and greedy clients (protocol 6.2);
 * behind one it takes the faster way, which has no timeouts of its own.
 * @module
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { getRequestListener } from "@hono/node-server";
import { type ErrorCode, messageOf, OtaError, REQUEST_LIMITS } from "@nix-ota/common";
import type { ListenAddress } from "./config.ts";
import type { RequestEnv } from "./deps.ts";
import { problem } from "./errors.ts";

/** Answers a request. */
export type Fetch = (request: Request, env: RequestEnv) => Response | Promise<Response>;

/** A server that takes requests. */
export interface Listener {
  readonly hostname: string;
  readonly port: number;
  /** Takes no more connections, waits for the answers under way for at most `graceMs`, then cuts them. */
  stop(graceMs: number): Promise<void>;
}

/** Limits of the guarding listener. */
export interface GuardLimits {
  readonly connectionsMax: number;
  readonly connectionsPerAddressMax: number;
  /** Time to send a request, head and body. */
  readonly receiveMs: number;
  /** Time that a connection may rest between requests: above that of usual proxies and of agents' polls. */
  readonly idleMs: number;
}

/** How often the guard looks for connections whose time is over. */
const GUARD_EVERY_MS = 1000;
/** A silent connection is kept this long by default. */
export const IDLE_MS = 75_000;

/**
 * Listens and guards itself.
 * @throws {Error} Where the address cannot be had.
 */
export async function listenGuarded(address: ListenAddress, fetch: Fetch, limits: GuardLimits): Promise<Listener> {
  const { receiveMs, idleMs } = limits;
  const answer = getRequestListener(
    (request, env) => fetch(request, { clientAddress: addressOf(env.incoming) }),
    { overrideGlobalObjects: false },
  );
  const server = createServer({
    headersTimeout: receiveMs,
    requestTimeout: receiveMs,
    keepAliveTimeout: idleMs,
    connectionsCheckingInterval: Math.min(GUARD_EVERY_MS, receiveMs),
    maxHeaderSize: REQUEST_LIMITS.headerBytes,
  }, (request: IncomingMessage, response: ServerResponse) => void answer(request, response));
  server.maxConnections = limits.connectionsMax;
  limitPerAddress(server, limits.connectionsPerAddressMax);
  server.on("clientError", refuseBadRequest);
  const port = await startListening(server, address);
  return { hostname: address.hostname, port, stop: (graceMs) => stopServer(server, graceMs) };
}

function addressOf({ socket }: { socket: { remoteAddress?: string | undefined } }): string | undefined {
  return socket.remoteAddress;
}

function limitPerAddress(server: Server, perAddressMax: number): void {
  const open = new Map<string, number>();
  server.on("connection", (socket: Socket) => {
    const address = socket.remoteAddress ?? "";
    const count = (open.get(address) ?? 0) + 1;
    if (count > perAddressMax) return void socket.destroy();
    open.set(address, count);
    socket.once("close", () => {
      const left = (open.get(address) ?? 1) - 1;
      if (left > 0) open.set(address, left);
      else open.delete(address);
    });
  });
}

/** Requests that never became one: too slow, too large, not HTTP. */
function refuseBadRequest(error: Error & { code?: string }, socket: Socket): void {
  if (!socket.writable || socket.destroyed) return void socket.destroy();
  const [code, message] = badRequestOf(error.code);
  const response = problem(new OtaError(code, message));
  response.text().then((body) => {
    const head = `HTTP/1.1 ${response.status} ${code}\r\ncontent-type: ${response.headers.get("content-type")}\r\n` +
      `content-length: ${body.length}\r\nconnection: close\r\n\r\n`;
    socket.end(head + body, () => socket.destroy());
  }, () => socket.destroy());
}

function badRequestOf(code: string | undefined): readonly [ErrorCode, string] {
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") {
    return ["request_timeout", "Cannot read the request as it was not received in time"];
  }
  if (code === "HPE_HEADER_OVERFLOW") {
    return [
      "headers_too_large",
      `Cannot read the request as its head has more than ${REQUEST_LIMITS.headerBytes} bytes`,
    ];
  }
  return ["request_invalid", "Cannot read the request as it is not HTTP/1.1"];
}

function startListening(server: Server, { hostname, port }: ListenAddress): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", (error) => reject(cannotListen({ hostname, port }, error)));
    server.listen(port, hostname, () => {
      const bound = server.address();
      resolve(typeof bound === "object" && bound !== null ? bound.port : port);
    });
  });
}

async function stopServer(server: Server, graceMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const timer = setTimeout(() => server.closeAllConnections(), graceMs);
  await closed;
  clearTimeout(timer);
}

/**
 * Listens behind a proxy, which has to see to timeouts, sizes and numbers of connections.
 * @throws {Error} Where the address cannot be had.
 */
export function listenBehindProxy(address: ListenAddress, fetch: Fetch): Listener {
  const ended = new AbortController();
  let server: Deno.HttpServer<Deno.NetAddr>;
  try {
    server = Deno.serve(
      { ...address, signal: ended.signal, onListen: () => {} },
      (request, { remoteAddr }) => fetch(request, { clientAddress: forwardedFor(request) ?? remoteAddr.hostname }),
    );
  } catch (error) {
    throw cannotListen(address, error);
  }
  return {
    hostname: address.hostname,
    port: server.addr.port,
    stop: async (graceMs) => {
      const timer = setTimeout(() => ended.abort(), graceMs);
      await server.shutdown();
      clearTimeout(timer);
    },
  };
}

/** The address that the proxy saw: it adds it at the end, what stands before may be made up. */
function forwardedFor(request: Request): string | undefined {
  return request.headers.get("x-forwarded-for")?.split(",").at(-1)?.trim() || undefined;
}

function cannotListen({ hostname, port }: ListenAddress, cause: unknown): Error {
  const text = messageOf(cause);
  const where = `${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`;
  const why = /EADDRINUSE|AddrInUse|in use/i.test(text)
    ? "another program listens there (choose another --listen)"
    : text;
  return new Error(`Cannot listen on ${where}: ${why}`, { cause });
}
