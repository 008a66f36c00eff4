/**
 * The device's side of the wire: enrolment, check-in, releases, wake-ups, logs (protocol 4 and 5). Nothing that a server
 * answers can do more than delay.
 * @module
 */
import {
  ANSWER_MAX_BYTES,
  type Bytes,
  Checkin,
  decodeUtf8,
  Directive,
  type DocumentKind,
  encodeUtf8,
  Enrol,
  EnrolAnswer,
  ENVELOPE_CONTENT_TYPE,
  ENVELOPE_MAX_BYTES,
  formatDocument,
  formatEnvelope,
  formatRawPublicKey,
  LogDocument,
  messageOf,
  parseProblem,
  parseRetryAfter,
  paths as wirePaths,
  type Problem,
  schema,
  signEnvelope,
  WAIT_MAX_SECONDS,
} from "@nix-ota/common";
import type { Context } from "./context.ts";
import type { Identity } from "./device_key.ts";
import type { CheckinChain } from "./sequence.ts";
import { type HttpAnswer, HttpError } from "./system.ts";
import { AGENT_VERSION } from "./version.ts";

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

/** The answer to a check-in. */
export type CheckinAnswer =
  | { readonly kind: "directive"; readonly directive: Directive }
  | Unanswered;

/** The answer to an enrolment. */
export type Enrolled = { readonly kind: "accepted" | "pending"; readonly pollAfterSeconds: number } | Unanswered;

/** The answer to a request for a release. */
export type FetchedRelease = { readonly kind: "fetched"; readonly envelope: Bytes } | Unanswered;

/** What a long poll brought: the head's ETag, `unchanged` after a wait, or nothing. */
export type HeadAnswer =
  | { readonly kind: "head"; readonly etag: string | null }
  | { readonly kind: "unchanged" }
  | { readonly kind: "failed"; readonly message: string };

/** The server as the agent sees it. */
export interface ServerClient {
  enrol(document: Omit<Enrol, "publicKey">): Promise<Enrolled>;
  /** Sends a check-in; `build` gets the number and nonce that it carries. */
  checkin(build: (chain: { seq: number; nonce: string }) => Checkin): Promise<CheckinAnswer>;
  release(channel: string, revision: number, readToken: string | null): Promise<FetchedRelease>;
  /** Waits until the channel's head is another one than `etag`, at most some 55 s. */
  waitForHead(
    { channel, etag, readToken, signal }: {
      channel: string;
      etag: string | null;
      readToken: string | null;
      signal: AbortSignal;
    },
  ): Promise<HeadAnswer>;
  sendLog(document: LogDocument): Promise<Unanswered | { readonly kind: "sent" }>;
}

/** Longest time for a small request; generous for a satellite link. */
const REQUEST_MS = 30_000;
/** Longest time for a release of at most 1 MiB. */
const RELEASE_MS = 60_000;
/** How much longer than asked for a long poll may take. */
const WAIT_SLACK_MS = 15_000;

/** Connects a device to its server. */
export function createServerClient(context: Context, identity: Identity, chain: CheckinChain): ServerClient {
  const { config, system } = context;

  async function post(path: string, kind: DocumentKind, payload: Bytes): Promise<HttpAnswer | Unanswered> {
    const envelope = await signEnvelope(kind, payload, [identity.signer]);
    return await ask(() =>
      system.request({
        method: "POST",
        url: `${config.server}${path}`,
        headers: { "content-type": ENVELOPE_CONTENT_TYPE, accept: "application/json", ...agentHeader() },
        body: encodeUtf8(formatEnvelope(envelope)),
        timeoutMs: REQUEST_MS,
        maxBytes: ANSWER_MAX_BYTES,
        signal: context.stop,
      })
    );
  }

  async function ask(send: () => Promise<HttpAnswer>): Promise<HttpAnswer | Unanswered> {
    try {
      const answer = await send();
      return answer.status >= 200 && answer.status < 400 ? answer : refusal(answer, system.now());
    } catch (error) {
      if (error instanceof HttpError) return failure(error.message);
      throw error;
    }
  }

  async function sendCheckin(build: (chain: { seq: number; nonce: string }) => Checkin): Promise<CheckinAnswer> {
    const answer = await post(wirePaths.checkin, "checkin", formatDocument(Checkin, build(await chain.next())));
    if (isUnanswered(answer)) return answer;
    const directive = readJson(answer, Directive);
    if ("kind" in directive) return directive;
    chain.answered(directive.value.nonce);
    return { kind: "directive", directive: directive.value };
  }

  return {
    async enrol(document) {
      const { type, v, fleet, deviceId, channel, facts, token, at } = document;
      const publicKey = formatRawPublicKey(identity.signer.publicKey);
      // The order of the keys is part of the form (protocol 1.3).
      const signed: Enrol = { type, v, fleet, deviceId, channel, publicKey, facts, token, at };
      const answer = await post(wirePaths.enroll, "enrol", formatDocument(Enrol, signed));
      if (isUnanswered(answer)) return answer;
      const enrolled = readJson(answer, EnrolAnswer);
      if ("kind" in enrolled) return enrolled;
      chain.answered(enrolled.value.nonce);
      return { kind: enrolled.value.status, pollAfterSeconds: enrolled.value.pollAfterSeconds };
    },
    async checkin(build) {
      const answer = await sendCheckin(build);
      if (answer.kind !== "failed" || (answer.code !== "nonce_stale" && answer.code !== "checkin_replayed")) {
        return answer;
      }
      // The answer to an earlier check-in was lost, or the state directory was restored: go on from the server's word.
      return chain.resume(answer.members) ? await sendCheckin(build) : answer;
    },
    async release(channel, revision, readToken) {
      const answer = await ask(() =>
        system.request({
          method: "GET",
          url: `${config.server}${wirePaths.release(channel, revision)}`,
          headers: { accept: ENVELOPE_CONTENT_TYPE, ...bearer(readToken), ...agentHeader() },
          timeoutMs: RELEASE_MS,
          maxBytes: ENVELOPE_MAX_BYTES,
          signal: context.stop,
        })
      );
      if (isUnanswered(answer)) return answer;
      if (!hasType(answer, ENVELOPE_CONTENT_TYPE)) return failure(wrongType(answer, ENVELOPE_CONTENT_TYPE));
      return { kind: "fetched", envelope: answer.body };
    },
    async waitForHead({ channel, etag, readToken, signal }) {
      try {
        const answer = await system.request({
          method: "GET",
          url: `${config.server}${wirePaths.current(channel)}`,
          headers: {
            accept: ENVELOPE_CONTENT_TYPE,
            prefer: `wait=${WAIT_MAX_SECONDS}`,
            ...(etag === null ? {} : { "if-none-match": etag }),
            ...bearer(readToken),
            ...agentHeader(),
          },
          timeoutMs: WAIT_MAX_SECONDS * 1000 + WAIT_SLACK_MS,
          maxBytes: ENVELOPE_MAX_BYTES,
          signal,
        });
        // 404: the channel has no release yet; a server that waits has waited for the first one.
        if (answer.status === 304 || answer.status === 404) return { kind: "unchanged" };
        if (answer.status !== 200) return { kind: "failed", message: `the server answered ${answer.status}` };
        return { kind: "head", etag: readEtag(answer) };
      } catch (error) {
        if (error instanceof HttpError) return { kind: "failed", message: error.message };
        throw error;
      }
    },
    async sendLog(document) {
      const answer = await post(wirePaths.log, "log", formatDocument(LogDocument, document));
      return isUnanswered(answer) ? answer : { kind: "sent" };
    },
  };
}

function refusal(answer: HttpAnswer, nowMs: number): Unanswered {
  const problem = parseProblem(answer.status, new TextDecoder().decode(answer.body));
  return {
    kind: "failed",
    message: `the server refused: ${problem.detail}${problem.code === null ? "" : ` (${problem.code})`}`,
    code: problem.code,
    members: problem.members,
    retryAfterMs: parseRetryAfter(answer.header("retry-after"), nowMs),
  };
}

function failure(message: string): Unanswered {
  return { kind: "failed", message, code: null, members: {}, retryAfterMs: null };
}

function isUnanswered(answer: HttpAnswer | Unanswered): answer is Unanswered {
  return "kind" in answer;
}

function readJson<T>(answer: HttpAnswer, parser: schema.Parser<T>): { readonly value: T } | Unanswered {
  if (!hasType(answer, "application/json")) return failure(wrongType(answer, "application/json"));
  try {
    return { value: parser(JSON.parse(decodeUtf8(answer.body)), "answer") };
  } catch (error) {
    return failure(`the server's answer cannot be read: ${messageOf(error)}`);
  }
}

function hasType(answer: HttpAnswer, wanted: string): boolean {
  const [type] = (answer.header("content-type") ?? "").split(";");
  return type?.trim().toLowerCase() === wanted;
}

function wrongType(answer: HttpAnswer, wanted: string): string {
  const found = JSON.stringify((answer.header("content-type") ?? "none").slice(0, 100));
  return `the server's answer has the content type ${found}: wanted "${wanted}" (is there a proxy or portal between?)`;
}

function readEtag(answer: HttpAnswer): string | null {
  const etag = answer.header("etag");
  return etag !== null && /^(?:W\/)?"[\x21\x23-\x7e]{1,128}"$/.test(etag) ? etag : null;
}

function bearer(token: string | null): Record<string, string> {
  return token !== null && /^[\x21-\x7e]{1,256}$/.test(token) ? { authorization: `Bearer ${token}` } : {};
}

function agentHeader(): Record<string, string> {
  return { "user-agent": `nix-ota-agent/${AGENT_VERSION}` };
}
