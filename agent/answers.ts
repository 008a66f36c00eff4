/**
 * Reads what a server answers, and trusts none of it.
 * @module
 */
import { decodeUtf8, messageOf, parseProblem, parseRetryAfter, type Problem, type schema } from "@nix-ota/common";
import type { HttpAnswer } from "./system.ts";

/** A request that brought nothing to go on with. */
export interface Unanswered {
  readonly kind: "failed";
  /** A sentence for people. */
  readonly message: string;
  /** The code of a problem, or null. */
  readonly code: Problem["code"];
  /** The whole problem, for members that only one code has. */
  readonly members: Problem["members"];
  /** What `Retry-After` asks for, or null. Milliseconds. */
  readonly retryAfterMs: number | null;
}

/** An answer that is no success, as a failure in words. */
export function refusal(answer: HttpAnswer, nowMs: number): Unanswered {
  const problem = parseProblem(answer.status, new TextDecoder().decode(answer.body));
  return {
    kind: "failed",
    message: `the server refused: ${problem.detail}${problem.code === null ? "" : ` (${problem.code})`}`,
    code: problem.code,
    members: problem.members,
    retryAfterMs: parseRetryAfter(answer.header("retry-after"), nowMs),
  };
}

/** A failure that has only words. */
export function failure(message: string): Unanswered {
  return { kind: "failed", message, code: null, members: {}, retryAfterMs: null };
}

/** Reads a JSON answer. */
export function readJson<T>(answer: HttpAnswer, parser: schema.Parser<T>): { readonly value: T } | Unanswered {
  if (!hasType(answer, "application/json")) return failure(wrongType(answer, "application/json"));
  try {
    return { value: parser(JSON.parse(decodeUtf8(answer.body)), "answer") };
  } catch (error) {
    return failure(`the server's answer cannot be read: ${messageOf(error)}`);
  }
}

/** Whether an answer has a content type; parameters do not count. */
export function hasType(answer: HttpAnswer, wanted: string): boolean {
  const [type] = (answer.header("content-type") ?? "").split(";");
  return type?.trim().toLowerCase() === wanted;
}

/** The sentence about a content type that is not the documented one. */
export function wrongType(answer: HttpAnswer, wanted: string): string {
  const found = JSON.stringify((answer.header("content-type") ?? "none").slice(0, 100));
  return `the server's answer has the content type ${found}: wanted "${wanted}" (is there a proxy or portal between?)`;
}

/** The ETag of an answer, or null where it has none that can be sent back. */
export function readEtag(answer: HttpAnswer): string | null {
  const etag = answer.header("etag");
  return etag !== null && /^(?:W\/)?"[\x21\x23-\x7e]{1,128}"$/.test(etag) ? etag : null;
}

/** The header for a token, none where the token could not stand in one. */
export function bearer(token: string | null): Record<string, string> {
  return token !== null && /^[\x21-\x7e]{1,256}$/.test(token) ? { authorization: `Bearer ${token}` } : {};
}
