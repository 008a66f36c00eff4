/**
 * Where an error becomes an answer: one table of codes, one form (protocol 6.1, RFC 9457).
 * @module
 */
import { ERROR_CODES, type ErrorCode, type Log, messageOf, OtaError, PROBLEM_CONTENT_TYPE } from "@nix-ota/common";
import type { Context } from "hono";

/** Prints a problem document with the headers that its code asks for. */
export function problem(error: OtaError): Response {
  const { status, title } = ERROR_CODES[error.code];
  const { retryAfter, allow, ...members } = error.extra;
  const headers = new Headers({ "content-type": PROBLEM_CONTENT_TYPE, "cache-control": "no-store" });
  if (retryAfter !== undefined) headers.set("retry-after", String(retryAfter));
  if (allow !== undefined) headers.set("allow", String(allow));
  // Basic as well, so that a browser asks its user for the token.
  if (status === 401) headers.set("www-authenticate", 'Bearer realm="nix-ota", Basic realm="nix-ota"');
  // The body may not have been read to its end: what follows on the connection would be taken for a request.
  if (CUT_BODY.has(error.code)) headers.set("connection", "close");
  const body = { type: "about:blank", title, status, code: error.code, detail: error.message, ...members };
  return new Response(JSON.stringify(body), { status, headers });
}

const CUT_BODY: ReadonlySet<ErrorCode> = new Set(["body_too_large", "envelope_too_large", "request_timeout"]);

/** Answers for anything thrown by a route: what is not ours to tell is logged, and told as `internal` only. */
export function answerError(error: unknown, c: Context, log: Log): Response {
  if (error instanceof OtaError && error.code !== "internal") return problem(error);
  log("error", "request_failed", { method: c.req.method, path: c.req.path, error: messageOf(error) });
  return problem(new OtaError("internal", "Cannot answer the request as the server failed (its log says why)"));
}
