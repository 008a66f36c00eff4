/**
 * HTTP with a limit on everything: time, size, redirects. Knows nothing of nix-ota.
 * @module
 */
import type { Bytes } from "@nix-ota/common";
import { cleanLine, formatBytes } from "@nix-ota/common";

/** Why no answer came. `aborted` is the caller's own signal. */
export type HttpFailure = "unreachable" | "timeout" | "too_large" | "aborted";

/** No usable answer; the message is a clause without a subject, such as "connection refused". */
export class HttpError extends Error {
  override readonly name: string = "HttpError";
  readonly kind: HttpFailure;

  constructor(kind: HttpFailure, message: string, cause?: unknown) {
    super(message, { cause });
    this.kind = kind;
  }
}

/** One request with its limits. */
export interface HttpRequest {
  readonly url: string;
  readonly method?: "GET" | "HEAD" | "POST" | "PUT";
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Bytes | string;
  /** Largest answer, in bytes after decompression. */
  readonly maxBytes: number;
  /** Time for the whole exchange in milliseconds. */
  readonly timeoutMs: number;
  /** Whether to follow redirects; else a redirect is an answer like any other. */
  readonly follow?: boolean;
  readonly signal?: AbortSignal;
}

/** An answer, read to its end. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Bytes;
}

/** Sends a request and reads the whole answer. @throws {HttpError} Where there is none within the limits. */
export async function send(request: HttpRequest): Promise<HttpAnswer> {
  const deadline = AbortSignal.timeout(request.timeoutMs);
  const signal = request.signal ? AbortSignal.any([deadline, request.signal]) : deadline;
  try {
    const response = await fetch(request.url, {
      method: request.method ?? "GET",
      headers: { ...request.headers },
      redirect: request.follow === true ? "follow" : "manual",
      ...(request.body === undefined ? {} : { body: request.body }),
      signal,
    });
    const body = await readBody(response, request.maxBytes);
    return { status: response.status, headers: response.headers, body };
  } catch (error) {
    if (error instanceof HttpError) throw error;
    if (request.signal?.aborted === true) throw new HttpError("aborted", "interrupted", error);
    if (deadline.aborted) {
      throw new HttpError("timeout", `no complete answer within ${request.timeoutMs / 1000} s`, error);
    }
    throw new HttpError("unreachable", reasonOf(error), error);
  }
}

async function readBody(response: Response, maxBytes: number): Promise<Bytes> {
  const chunks: Bytes[] = [];
  let size = 0;
  // Leaving the loop by an exception cancels the stream, and with it the connection.
  for await (const chunk of response.body ?? []) {
    size += chunk.length;
    if (size > maxBytes) throw new HttpError("too_large", `an answer of more than ${formatBytes(maxBytes)}`);
    chunks.push(chunk);
  }
  const body = new Uint8Array(size);
  let offset = 0;
  for (const chunk of chunks) {
    body.set(chunk, offset);
    offset += chunk.length;
  }
  return body;
}

/** What the runtime says of connections, and how people say it. */
const REASONS: readonly (readonly [RegExp, string])[] = [
  [/connection refused/i, "connection refused"],
  [/dns error|failed to lookup|name or service not known/i, "the host name is not known"],
  [/certificate[^:]*: ?(\w+)/i, "its TLS certificate is not accepted"],
  [/connection reset|reset by peer/i, "the connection was reset"],
  [
    /unexpected eof|end of file|incomplete message|closed before|body error|error reading a body/i,
    "the answer broke off",
  ],
  [/network is unreachable|no route to host/i, "the network is unreachable"],
  [/timed out/i, "the connection timed out"],
  [/invalid HTTP|parse/i, "it does not speak HTTP"],
];

/** A clause for people out of what the runtime threw; the URL in it is left out, for it may hold more than a host. */
export function reasonOf(error: unknown): string {
  const text = error instanceof Error ? `${error.message} ${String(error.cause ?? "")}` : String(error);
  const known = REASONS.find(([pattern]) => pattern.test(text));
  return known ? known[1] : cleanLine(text.replaceAll(/\(?https?:\/\/\S+\)?/g, ""), 200);
}
