/**
 * A control server for tests: the publisher's part of the protocol over real HTTP, faults on demand.
 * @module
 */
import {
  type Bytes,
  digestOf,
  ERROR_CODES,
  type ErrorCode,
  formatEtag,
  parseEnvelope,
  parseRelease,
  PROBLEM_CONTENT_TYPE,
  type Release,
} from "@nix-ota/common";

/** A release that the server holds. */
export interface HeldRelease {
  readonly envelope: Bytes;
  readonly release: Release;
  readonly digest: string;
}

/** A running control server. */
export interface FakeControl extends AsyncDisposable {
  readonly url: string;
  readonly token: string;
  /** `METHOD /path` of every request, in order. */
  readonly requests: readonly string[];
  /** Newest last. */
  readonly releases: HeldRelease[];
  readonly listings: Map<string, string>;
  /** Answers otherwise; return undefined for the usual answer. */
  intercept: (request: Request, path: string) => Response | Promise<Response | undefined> | undefined;
  /** Answers of the operator API by path, without the query. */
  readonly operator: Map<string, unknown>;
}

/** A problem document. */
export function problem(code: ErrorCode, detail: string, extra: Record<string, unknown> = {}): Response {
  const { status, title } = ERROR_CODES[code];
  return new Response(JSON.stringify({ type: "about:blank", title, status, code, detail, ...extra }), {
    status,
    headers: { "content-type": PROBLEM_CONTENT_TYPE },
  });
}

/** Starts a control server on a free port of the loopback interface. */
export function startControl(token = "nota_test_0123456789abcdef"): FakeControl {
  const requests: string[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => undefined }, async (request) => {
    const { pathname } = new URL(request.url);
    requests.push(`${request.method} ${pathname}`);
    return await control.intercept(request, pathname) ?? await answer(control, request, pathname);
  });
  const control: FakeControl = {
    url: `http://127.0.0.1:${server.addr.port}`,
    token,
    requests,
    releases: [],
    listings: new Map(),
    operator: new Map(),
    intercept: () => undefined,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
  return control;
}

async function answer(control: FakeControl, request: Request, path: string): Promise<Response> {
  const head = control.releases.at(-1);
  if (request.method === "GET" && path.endsWith("/current")) {
    return head ? envelopeOf(head) : problem("not_found", "The channel has no release");
  }
  const listing = control.listings.get(path);
  if (request.method === "GET" && listing !== undefined) return new Response(listing);
  if (request.headers.get("authorization") !== `Bearer ${control.token}`) {
    return problem("unauthorized", "The request needs a valid token");
  }
  if (request.method === "POST" && path.endsWith("/publish")) return await take(control, request);
  if (request.method === "PUT" && path.includes("/closures/")) {
    control.listings.set(path, await request.text());
    return new Response(null, { status: 204 });
  }
  const operator = control.operator.get(path);
  return operator === undefined ? problem("not_found", "There is nothing here") : Response.json(operator);
}

function envelopeOf({ envelope, digest }: HeldRelease): Response {
  return new Response(envelope, { headers: { etag: formatEtag(digest) } });
}

async function take(control: FakeControl, request: Request): Promise<Response> {
  const held = await hold(new Uint8Array(await request.arrayBuffer()));
  const head = control.releases.at(-1);
  const created = (): Response => {
    const { release: { channel, revision }, digest } = held;
    return Response.json({ channel, revision, digest }, { status: 201 });
  };
  if (head?.digest === held.digest) return created();
  if (head && held.release.revision <= head.release.revision) {
    return problem("revision_conflict", `The channel is at revision ${head.release.revision}`, {
      highest: head.release.revision,
    });
  }
  if (held.release.prev !== (head?.digest ?? null)) {
    return problem("prev_mismatch", "The release does not follow the current one");
  }
  control.releases.push(held);
  return created();
}

/** Reads a release without verifying it. */
export async function hold(envelope: Bytes): Promise<HeldRelease> {
  const { payload } = parseEnvelope(envelope);
  return { envelope, release: parseRelease(payload), digest: await digestOf(payload) };
}
