/**
 * One HTTP request with a deadline, a size limit and no redirects: what the agent trusts the network with.
 * @module
 */
import { type Bytes, concatBytes, messageOf } from "@nix-ota/common";
import { type HttpAnswer, HttpError, type HttpRequest } from "./system.ts";

/** Sends a request and reads the whole answer. @throws {HttpError} Where no whole answer came. */
export async function sendRequest(request: HttpRequest): Promise<HttpAnswer> {
  const deadline = new AbortController();
  const timer = setTimeout(() => deadline.abort("timeout"), request.timeoutMs);
  const cancel = () => deadline.abort("aborted");
  request.signal?.addEventListener("abort", cancel);
  if (request.signal?.aborted) cancel();
  try {
    const response = await fetch(request.url, {
      method: request.method,
      headers: request.headers,
      redirect: "error",
      signal: deadline.signal,
      ...(request.body === undefined ? {} : { body: request.body }),
    });
    const body = await readBody(response, request.maxBytes, deadline.signal);
    return { status: response.status, header: (name) => response.headers.get(name), body };
  } catch (error) {
    throw asHttpError(error, request, deadline.signal);
  } finally {
    clearTimeout(timer);
    request.signal?.removeEventListener("abort", cancel);
  }
}

async function readBody(response: Response, maxBytes: number, signal: AbortSignal): Promise<Bytes> {
  const reader = response.body?.getReader();
  if (reader === undefined) return new Uint8Array();
  const parts: Bytes[] = [];
  let size = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return concatBytes(...parts);
      signal.throwIfAborted();
      size += value.length;
      if (size > maxBytes) throw new HttpError("too_large", `the answer has more than ${maxBytes} bytes`);
      parts.push(value);
    }
  } finally {
    // Also frees the connection of an answer that was not read to its end; a failure of that is of no interest.
    reader.cancel().catch(() => {});
  }
}

function asHttpError(cause: unknown, request: HttpRequest, signal: AbortSignal): HttpError {
  const where = `Cannot ask ${request.method} ${request.url}`;
  if (cause instanceof HttpError) return new HttpError(cause.kind, `${where}: ${cause.message}`, { cause });
  if (!signal.aborted) return new HttpError("network", `${where}: ${messageOf(cause)}`, { cause });
  if (signal.reason === "timeout") {
    return new HttpError("timeout", `${where}: no whole answer in ${request.timeoutMs} ms`, { cause });
  }
  return new HttpError("aborted", `${where}: not wanted any more`, { cause });
}
