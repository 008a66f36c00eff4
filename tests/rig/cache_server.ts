/** An HTTP binary cache over a directory that `nix copy --to file://` made, which misbehaves when it is told to. */

import {
  type Delivery,
  deliveryOf,
  type Fault,
  type FaultRule,
  faultyBody,
  rangeStart,
  ruleHits,
} from "./cache_faults.ts";
import { pause } from "./wait.ts";

/** What was asked and answered. `status` is 0 where no answer was given. */
export type CacheRequest = {
  method: string;
  /** Such as "nar/1abc.nar.zst". */
  path: string;
  /** First byte of a ranged request; 0 for all others. */
  rangeStart: number;
  status: number;
  fault: Fault["kind"] | undefined;
};

/** How a cache is served. */
export type CacheServerOptions = {
  /** Host directory of the cache. */
  dir: string;
  /** Whether Range is honoured, as every file server does; true unless told. */
  hasRanges?: boolean;
};

/** A running cache. */
export type CacheServer = AsyncDisposable & {
  /** Without a slash at the end. */
  readonly url: string;
  /** Everything asked so far, oldest first. */
  readonly requests: readonly CacheRequest[];
  /** Replaces all rules; the first one that hits counts. Without rules the cache is well again. */
  setFault(...rules: FaultRule[]): void;
  forgetRequests(): void;
  close(): Promise<void>;
};

/** Pieces of a slow body, so that a client's speed limit sees an even stream. */
const SLOW_PIECES_PER_SECOND = 20;

/** Serves `dir` on a free port of 127.0.0.1. */
export function startCacheServer({ dir, hasRanges = true }: CacheServerOptions): CacheServer {
  let rules: { rule: FaultRule; hits: number }[] = [];
  let requests: CacheRequest[] = [];
  const closing = new AbortController();

  function faultOf(path: string, sizeBytes: number): Fault | undefined {
    const hit = rules.find(({ rule, hits }) => hits < (rule.times ?? Infinity) && ruleHits(rule, path, sizeBytes));
    if (hit !== undefined) hit.hits++;
    return hit?.rule.fault;
  }

  async function handle(request: Request): Promise<Response> {
    const path = new URL(request.url).pathname.slice(1);
    const file = await readIfFound(`${dir}/${path}`);
    const fault = faultOf(path, file?.length ?? 0);
    const start = hasRanges ? rangeStart(request.headers.get("range")) : 0;
    const record = { method: request.method, path, rangeStart: start, status: 0, fault: fault?.kind };
    requests.push(record);
    if (fault?.kind === "stalled-header") await aborted(closing.signal);
    const response = respond({ request, file, fault, hasRanges, start }, closing.signal);
    record.status = response.status;
    return response;
  }

  const listening = { hostname: "127.0.0.1", port: 0, signal: closing.signal, onListen: () => {} };
  const server = Deno.serve(listening, handle);
  async function close(): Promise<void> {
    closing.abort();
    await server.finished;
  }
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    get requests() {
      return requests;
    },
    setFault(...next) {
      rules = next.map((rule) => ({ rule, hits: 0 }));
    },
    forgetRequests() {
      requests = [];
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

type Asked = {
  request: Request;
  file: Uint8Array<ArrayBuffer> | undefined;
  fault: Fault | undefined;
  hasRanges: boolean;
  start: number;
};

function respond({ request, file, fault, hasRanges, start }: Asked, closing: AbortSignal): Response {
  if (fault?.kind === "status") {
    return new Response(fault.body ?? null, { status: fault.status, headers: fault.headers ?? {} });
  }
  if (file === undefined) return new Response("not found\n", { status: 404 });
  const whole = faultyBody(fault, file);
  const body = whole.subarray(start);
  const headers = new Headers({ "content-length": String(body.length), "content-type": contentType(request.url) });
  if (hasRanges) headers.set("accept-ranges", "bytes"); // Without it Nix does not resume.
  if (start > 0) headers.set("content-range", `bytes ${start}-${whole.length - 1}/${whole.length}`);
  const status = start > 0 ? 206 : 200;
  if (request.method === "HEAD") return new Response(null, { status, headers });
  const delivery = deliveryOf(fault, body.length);
  return new Response(delivery === undefined ? body : disturbed(body, delivery, closing), { status, headers });
}

function contentType(url: string): string {
  return url.endsWith(".narinfo") ? "text/x-nix-narinfo" : "application/octet-stream";
}

/** A body that is cut, stalls or trickles. */
function disturbed(body: Uint8Array<ArrayBuffer>, delivery: Delivery, closing: AbortSignal): ReadableStream {
  const pieces = delivery.kind === "slow"
    ? trickle(body, delivery.bytesPerSecond)
    : stop(body, delivery.kind, delivery.afterBytes, closing);
  return ReadableStream.from(pieces);
}

async function* trickle(
  body: Uint8Array<ArrayBuffer>,
  bytesPerSecond: number,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const pieceBytes = Math.max(1, Math.round(bytesPerSecond / SLOW_PIECES_PER_SECOND));
  for (let start = 0; start < body.length; start += pieceBytes) {
    yield body.subarray(start, start + pieceBytes);
    await pause(1000 / SLOW_PIECES_PER_SECOND);
  }
}

async function* stop(
  body: Uint8Array<ArrayBuffer>,
  kind: "cut" | "stalled",
  afterBytes: number,
  closing: AbortSignal,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  yield body.subarray(0, afterBytes);
  if (kind === "stalled") await aborted(closing);
  else await pause(1000 / SLOW_PIECES_PER_SECOND); // So that the first half leaves before the connection goes.
  // A body that ends before its Content-Length makes the server drop the connection.
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  signal.addEventListener("abort", () => resolve(), { once: true });
  await promise;
}

async function readIfFound(file: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
  try {
    return await Deno.readFile(file);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.IsADirectory) return undefined;
    throw error;
  }
}
