/**
 * The control server as the command line sees it: every answer is checked, every request has limits.
 * @module
 */
import {
  ANSWER_MAX_BYTES,
  type Bytes,
  decodeUtf8,
  encodeUtf8,
  ENVELOPE_CONTENT_TYPE,
  ENVELOPE_MAX_BYTES,
  formatSignerKeys,
  LISTING_MAX_BYTES,
  parseProblem,
  type Parser,
  parseRetryAfter,
  paths,
  type Problem,
  type PublicKey,
  PublishAnswer,
  SchemaError,
  SIGNER_KEYS_HEADER,
} from "@nix-ota/common";
import { CliError, EXIT, interrupted } from "./errors.ts";
import { type HttpAnswer, HttpError, type HttpRequest, send } from "./http.ts";
import { retrying, type RetryPolicy } from "./retry.ts";

/** Longest time for one request, in milliseconds. */
export const REQUEST_TIMEOUT_MS = 20_000;
/** Longest time for sending a closure listing of 8 MiB over a thin line, in milliseconds. */
const LISTING_TIMEOUT_MS = 120_000;
/** Largest answer of the operator API in bytes: 200 devices of some 10 KiB. */
const OPERATOR_ANSWER_MAX_BYTES = 8 * 1024 * 1024;
/** Longest wait that the server can ask for before a retry, in milliseconds. */
const RETRY_MAX_MS = 15_000;

/** A control server and how to speak with it. */
export interface Api {
  /** Base URL without a trailing slash. */
  readonly server: string;
  /** Bearer token, or null. */
  readonly token: string | null;
  readonly signal: AbortSignal;
  readonly random: () => number;
  readonly now: () => number;
  /** Longest time for one request; {@link REQUEST_TIMEOUT_MS} outside tests. Milliseconds. */
  readonly timeoutMs: number;
}

/** Where a closure listing is. */
export interface ListingAt {
  readonly channel: string;
  readonly revision: number;
  readonly system: string;
  readonly variant: string;
}

type Ask = Pick<HttpRequest, "method" | "body" | "headers" | "maxBytes"> & {
  readonly path: string;
  readonly timeoutMs?: number;
  /** What the request is for; completes "Cannot …". */
  readonly doing: string;
};

/**
 * Sends a request, retrying what may pass: no connection, a cut or late answer, 429, 502, 503 and 504. Every request
 * of this protocol may be repeated: publishing the same bytes again is recognised by their digest.
 *
 * @throws {CliError} `server_unreachable` where no answer came.
 */
async function ask(api: Api, { path, timeoutMs, doing, ...request }: Ask): Promise<HttpAnswer> {
  const policy: RetryPolicy = { attempts: 4, baseMs: 300, maxMs: RETRY_MAX_MS, random: api.random };
  const headers = { ...request.headers, ...(api.token === null ? {} : { authorization: `Bearer ${api.token}` }) };
  const answer = await retrying(policy, async () => {
    try {
      const got = await send({
        ...request,
        headers,
        url: api.server + path,
        timeoutMs: timeoutMs ?? api.timeoutMs,
        signal: api.signal,
      });
      if (![429, 502, 503, 504].includes(got.status)) return { done: got };
      return { again: got, afterMs: parseRetryAfter(got.headers.get("retry-after"), api.now()) ?? 0 };
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      if (error.kind === "aborted") throw interrupted(`asking the server`);
      const failure = unreachable(api, doing, error.message);
      // A server that does not answer in time, or without end, would do the same again.
      if (error.kind === "unreachable") return { again: failure };
      throw failure;
    }
  }, api.signal);
  if (answer.status >= 300 && answer.status < 400) throw redirected(api, doing, answer);
  return answer;
}

function unreachable(api: Api, doing: string, reason: string): CliError {
  return new CliError(EXIT.serverUnreachable, `Cannot ${doing}: the server ${api.server} does not answer, ${reason}`, {
    code: "server_unreachable",
  });
}

function redirected(api: Api, doing: string, { headers, status }: HttpAnswer): CliError {
  const to = URL.parse(headers.get("location") ?? "", api.server);
  return new CliError(
    EXIT.serverUnreachable,
    `Cannot ${doing}: the server ${api.server} redirects (${status})${to ? ` to ${to.origin}` : ""}, which is not ` +
      "followed with a token (give the final address with --server)",
    { code: "server_answer_invalid" },
  );
}

function invalid(api: Api, doing: string, reason: string): CliError {
  return new CliError(
    EXIT.serverUnreachable,
    `Cannot ${doing}: the answer of ${api.server} is not that of a nix-ota server, ${reason} (check --server)`,
    { code: "server_answer_invalid" },
  );
}

/** The problem in an answer that is not 2xx. */
export function problemOf(answer: HttpAnswer): Problem {
  let body = "";
  try {
    body = decodeUtf8(answer.body.slice(0, ANSWER_MAX_BYTES));
  } catch {
    // Not text: the status has to do.
  }
  return parseProblem(answer.status, body);
}

/** The error for an answer that is not 2xx: the server's own sentence where it is one of ours. */
export function refusal({ server }: Api, doing: string, { status, code, detail }: Problem): CliError {
  if (code === null) return strange(server, doing, status);
  if (code === "unauthorized") {
    const message =
      `Cannot ${doing}: the server ${server} does not accept the token (give a valid one with --token-file)`;
    return new CliError(EXIT.serverRefused, message, { code });
  }
  const exit = status >= 500 ? EXIT.serverUnreachable : EXIT.serverRefused;
  return new CliError(exit, `${detail.replace(/\.$/, "")} (says the server ${server}, asked to ${doing})`, { code });
}

function strange(server: string, doing: string, status: number): CliError {
  const what = status >= 500
    ? `fails with ${status}`
    : `answers ${status}, which is not what a nix-ota server would say`;
  return new CliError(
    EXIT.serverUnreachable,
    `Cannot ${doing}: ${server} ${what} (check --server and what stands before it)`,
    {
      code: "server_answer_invalid",
    },
  );
}

async function askJson<T>(api: Api, parser: Parser<T>, request: Ask): Promise<T> {
  const answer = await ask(api, request);
  if (answer.status < 200 || answer.status > 299) throw refusal(api, request.doing, problemOf(answer));
  return parseJson(api, parser, { doing: request.doing, body: answer.body });
}

function parseJson<T>(api: Api, parser: Parser<T>, { doing, body }: { doing: string; body: Bytes }): T {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(body));
  } catch {
    throw invalid(api, doing, "it is no JSON");
  }
  try {
    return parser(value, "answer");
  } catch (error) {
    if (!(error instanceof SchemaError)) throw error;
    throw invalid(api, doing, error.message);
  }
}

/** Reads a document of the operator API. @throws {CliError} */
export function readOperator<T>(
  api: Api,
  path: string,
  { parser, doing }: { parser: Parser<T>; doing: string },
): Promise<T> {
  return askJson(api, parser, { path, doing, maxBytes: OPERATOR_ANSWER_MAX_BYTES });
}

/** Posts to the operator API. @throws {CliError} */
export function postOperator<T>(
  api: Api,
  path: string,
  { parser, doing, body }: { parser: Parser<T>; doing: string; body: unknown },
): Promise<T> {
  return askJson(api, parser, {
    path,
    doing,
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    maxBytes: OPERATOR_ANSWER_MAX_BYTES,
  });
}

/** The envelope of a channel's current release, or null before the first one; nothing in it is verified. */
export function readCurrent(api: Api, channel: string): Promise<Bytes | null> {
  return readBytes(api, {
    path: paths.current(channel),
    doing: `read the current release of channel "${channel}"`,
    maxBytes: ENVELOPE_MAX_BYTES,
  });
}

/** A closure listing, or null where the server has none; nothing in it is verified. */
export function readListing(api: Api, at: ListingAt): Promise<Bytes | null> {
  return readBytes(api, {
    path: paths.listing(at),
    doing: `read the closure listing of revision ${at.revision}`,
    maxBytes: LISTING_MAX_BYTES,
    timeoutMs: LISTING_TIMEOUT_MS,
  });
}

async function readBytes(api: Api, request: Ask): Promise<Bytes | null> {
  const answer = await ask(api, request);
  if (answer.status === 200) return answer.body;
  const problem = problemOf(answer);
  if (answer.status === 404 && problem.code === "not_found") return null;
  throw refusal(api, request.doing, problem);
}

/** What became of a publish. */
export type PublishOutcome =
  | { readonly kind: "published"; readonly answer: PublishAnswer }
  | { readonly kind: "conflict"; readonly problem: Problem };

/** Sends a release. A conflict is an answer; every other refusal is an error. @throws {CliError} */
export async function publishRelease(
  api: Api,
  channel: string,
  { envelope, signers }: { envelope: string; signers: readonly PublicKey[] },
): Promise<PublishOutcome> {
  const doing = `publish on channel "${channel}"`;
  const answer = await ask(api, {
    path: paths.publish(channel),
    doing,
    method: "POST",
    headers: { "content-type": ENVELOPE_CONTENT_TYPE, [SIGNER_KEYS_HEADER]: formatSignerKeys(signers) },
    body: encodeUtf8(envelope),
    maxBytes: ANSWER_MAX_BYTES,
  });
  if (answer.status >= 200 && answer.status < 300) {
    return { kind: "published", answer: parseJson(api, PublishAnswer, { doing, body: answer.body }) };
  }
  const problem = problemOf(answer);
  const conflict = problem.code === "revision_conflict" || problem.code === "prev_mismatch";
  if (conflict) return { kind: "conflict", problem };
  throw refusal(api, doing, problem);
}

/** Sends a closure listing. @throws {CliError} */
export async function sendListing(api: Api, at: ListingAt, listing: string): Promise<void> {
  const doing = `send the closure listing of revision ${at.revision}`;
  const answer = await ask(api, {
    path: paths.listing(at),
    doing,
    method: "PUT",
    headers: { "content-type": "text/plain; charset=utf-8" },
    body: encodeUtf8(listing),
    maxBytes: ANSWER_MAX_BYTES,
    timeoutMs: LISTING_TIMEOUT_MS,
  });
  if (answer.status < 200 || answer.status > 299) throw refusal(api, doing, problemOf(answer));
}
