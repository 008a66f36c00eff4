/**
 * The device's side of the wire: enrolment, check-in, releases, wake-ups, logs (protocol 4 and 5). Nothing that a server
 * answers can do more than delay.
 * @module
 */
import {
  ANSWER_MAX_BYTES,
  type Bytes,
  Checkin,
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
  paths as wirePaths,
  signEnvelope,
  WAIT_MAX_SECONDS,
} from "@nix-ota/common";
import { bearer, failure, hasType, readEtag, readJson, refusal, type Unanswered, wrongType } from "./answers.ts";
import type { Context } from "./context.ts";
import type { Identity } from "./device_key.ts";
import type { CheckinChain, Sequence } from "./sequence.ts";
import { type HttpAnswer, HttpError, type HttpRequest } from "./system.ts";
import { AGENT_VERSION } from "./version.ts";

export type { Unanswered } from "./answers.ts";

/** The answer to a check-in. */
export type CheckinAnswer = { readonly kind: "directive"; readonly directive: Directive } | Unanswered;

/** The answer to an enrolment. */
export type Enrolled = { readonly kind: "accepted" | "pending"; readonly pollAfterSeconds: number } | Unanswered;

/** The answer to a request for a release. */
export type FetchedRelease = { readonly kind: "fetched"; readonly envelope: Bytes } | Unanswered;

/** What a long poll brought: the head's ETag, `unchanged` after a wait, or nothing. */
export type HeadAnswer =
  | { readonly kind: "head"; readonly etag: string | null }
  | { readonly kind: "unchanged" }
  | { readonly kind: "failed"; readonly message: string };

/** Longest time for a small request; generous for a satellite link. */
const REQUEST_MS = 30_000;
/** Longest time for a release of at most 1 MiB. */
const RELEASE_MS = 60_000;
/** How much longer than asked for a long poll may take. */
const WAIT_SLACK_MS = 15_000;

/** The server as the agent sees it. */
export class ServerClient {
  readonly #context: Context;
  readonly #identity: Identity;
  readonly #chain: CheckinChain;

  constructor(context: Context, identity: Identity, chain: CheckinChain) {
    this.#context = context;
    this.#identity = identity;
    this.#chain = chain;
  }

  /** Enrols the device (protocol 4.2). */
  async enrol(document: Omit<Enrol, "publicKey">): Promise<Enrolled> {
    const { type, v, fleet, deviceId, channel, facts, token, at } = document;
    const publicKey = formatRawPublicKey(this.#identity.signer.publicKey);
    // The order of the keys is part of the form (protocol 1.3).
    const signed: Enrol = { type, v, fleet, deviceId, channel, publicKey, facts, token, at };
    const answer = await this.#post(wirePaths.enroll, "enrol", formatDocument(Enrol, signed));
    if (isUnanswered(answer)) return answer;
    const enrolled = readJson(answer, EnrolAnswer);
    if ("kind" in enrolled) return enrolled;
    const { status, nonce, pollAfterSeconds } = enrolled.value;
    this.#chain.answered(nonce);
    return { kind: status, pollAfterSeconds };
  }

  /** Checks in (protocol 4.3); `build` gets the number and nonce that the check-in carries. */
  async checkin(build: (chain: Sequence) => Checkin): Promise<CheckinAnswer> {
    const answer = await this.#checkinOnce(build);
    if (answer.kind === "directive") return answer;
    if (answer.code !== "nonce_stale" && answer.code !== "checkin_replayed") return answer;
    // The answer to an earlier check-in was lost, or the state directory was restored: go on from the server's word.
    return this.#chain.resume(answer.members) ? await this.#checkinOnce(build) : answer;
  }

  /** Fetches a release (protocol 5.1); nothing of it is trusted yet. */
  async release(channel: string, revision: number, readToken: string | null): Promise<FetchedRelease> {
    const answer = await this.#ask({
      method: "GET",
      url: this.#url(wirePaths.release(channel, revision)),
      headers: { accept: ENVELOPE_CONTENT_TYPE, ...bearer(readToken), ...AGENT_HEADER },
      timeoutMs: RELEASE_MS,
      maxBytes: ENVELOPE_MAX_BYTES,
      signal: this.#context.stop,
    });
    if (isUnanswered(answer)) return answer;
    if (!hasType(answer, ENVELOPE_CONTENT_TYPE)) return failure(wrongType(answer, ENVELOPE_CONTENT_TYPE));
    return { kind: "fetched", envelope: answer.body };
  }

  /** Waits until the channel's head is another one than `etag`, at most some 55 s (protocol 4.6). */
  async waitForHead({ channel, etag, readToken, signal }: {
    channel: string;
    etag: string | null;
    readToken: string | null;
    signal: AbortSignal;
  }): Promise<HeadAnswer> {
    try {
      const answer = await this.#context.system.request({
        method: "GET",
        url: this.#url(wirePaths.current(channel)),
        headers: {
          accept: ENVELOPE_CONTENT_TYPE,
          prefer: `wait=${WAIT_MAX_SECONDS}`,
          ...(etag === null ? {} : { "if-none-match": etag }),
          ...bearer(readToken),
          ...AGENT_HEADER,
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
  }

  /** Sends a log (protocol 4.7). */
  async sendLog(document: LogDocument): Promise<Unanswered | { readonly kind: "sent" }> {
    const answer = await this.#post(wirePaths.log, "log", formatDocument(LogDocument, document));
    return isUnanswered(answer) ? answer : { kind: "sent" };
  }

  #url(path: string): string {
    return `${this.#context.config.server}${path}`;
  }

  async #checkinOnce(build: (chain: Sequence) => Checkin): Promise<CheckinAnswer> {
    const payload = formatDocument(Checkin, build(await this.#chain.next()));
    const answer = await this.#post(wirePaths.checkin, "checkin", payload);
    if (isUnanswered(answer)) return answer;
    const directive = readJson(answer, Directive);
    if ("kind" in directive) return directive;
    this.#chain.answered(directive.value.nonce);
    return { kind: "directive", directive: directive.value };
  }

  async #post(path: string, kind: DocumentKind, payload: Bytes): Promise<HttpAnswer | Unanswered> {
    const envelope = await signEnvelope(kind, payload, [this.#identity.signer]);
    return await this.#ask({
      method: "POST",
      url: this.#url(path),
      headers: { "content-type": ENVELOPE_CONTENT_TYPE, accept: "application/json", ...AGENT_HEADER },
      body: encodeUtf8(formatEnvelope(envelope)),
      timeoutMs: REQUEST_MS,
      maxBytes: ANSWER_MAX_BYTES,
      signal: this.#context.stop,
    });
  }

  async #ask(request: HttpRequest): Promise<HttpAnswer | Unanswered> {
    const { system } = this.#context;
    try {
      const answer = await system.request(request);
      return answer.status >= 200 && answer.status < 300 ? answer : refusal(answer, system.now());
    } catch (error) {
      if (error instanceof HttpError) return failure(error.message);
      throw error;
    }
  }
}

const AGENT_HEADER: Readonly<Record<string, string>> = { "user-agent": `nix-ota-agent/${AGENT_VERSION}` };

function isUnanswered(answer: HttpAnswer | Unanswered): answer is Unanswered {
  return "kind" in answer;
}
