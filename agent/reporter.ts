/**
 * Check-ins: one at a time, as often as there is something to say, never in the way of an update.
 * @module
 */
import { type DeviceState, type Directive, messageOf, type TrustClock } from "@nix-ota/common";
import type { Context } from "./context.ts";
import { deviceFacts, lookAround, machineOf } from "./device.ts";
import { checkinOf, deviceStateOf, enrolOf, logDocumentOf } from "./documents.ts";
import type { FetchProgress } from "./nix_output.ts";
import type { CheckinChain } from "./sequence.ts";
import type { CheckinAnswer, Enrolled, ServerClient, Unanswered } from "./server.ts";
import type { Deployment, Situation } from "./state.ts";
import { activationLogOf } from "./switch_job.ts";

/** Shortest time between two check-ins that only tell how far a download is. */
const PROGRESS_EVERY_MS = 2_000;
/** Largest enrolment token file in bytes. */
const TOKEN_MAX_BYTES = 1024;

/** Where the agent stands with its server. */
export type Contact =
  | { readonly kind: "directive"; readonly directive: Directive }
  /** An operator has to accept the device. */
  | { readonly kind: "pending"; readonly pollAfterSeconds: number }
  | Unanswered;

/** What a reporter needs. */
export interface ReporterDeps {
  readonly context: Context;
  readonly client: ServerClient;
  readonly chain: CheckinChain;
  readonly situation: () => Situation;
  readonly clock: () => Promise<TrustClock>;
  /** Called with every answer, also to check-ins that nobody waits for. */
  readonly onContact: (contact: Contact) => void;
}

/** Sends check-ins. */
export interface Reporter {
  /** Checks in and waits for the answer; joins a check-in under way that says the same. */
  now(): Promise<Contact>;
  /** Checks in without anyone waiting. */
  soon(): void;
  /** Notes how far a download is, and says so now and then. */
  progress(progress: FetchProgress): void;
  /** The newest progress, or null outside of a download. */
  readonly latestProgress: () => FetchProgress | null;
  /** Sends the log of a failed activation; false where it has to be tried again. */
  sendLog(target: Deployment): Promise<boolean>;
  /** Resolves when nothing is under way. */
  settled(): Promise<void>;
}

/** Starts to report. */
export function createReporter(deps: ReporterDeps): Reporter {
  const { context, client, chain, clock } = deps;
  const { config, system } = context;
  let progress: FetchProgress | null = null;
  let progressSaidMs = -Infinity;
  let waiting: string | null = null;
  let underWay: { readonly situation: Situation; readonly contact: Promise<Contact> } | null = null;
  let again = false;

  async function stateNow(): Promise<{ state: DeviceState; bootId: string }> {
    const look = await lookAround(context);
    const facts = await deviceFacts(context, look);
    const situation = deps.situation();
    const shown = situation.state.kind === "staging" ? progress : null;
    return { state: deviceStateOf({ situation, facts, progress: shown, waiting }), bootId: look.bootId };
  }

  async function checkIn(): Promise<Contact> {
    const { state, bootId } = await stateNow();
    const { synchronised } = await clock();
    const build = (link: { seq: number; nonce: string }) =>
      checkinOf({
        config,
        situation: deps.situation(),
        state,
        chain: link,
        bootId,
        nowMs: system.now(),
        synced: synchronised,
      });
    const answer: CheckinAnswer = await client.checkin(build);
    // Where the key is not the one that the server knows, enrolling says what there is to do, or begins anew.
    if (answer.kind === "failed" && (answer.code === "device_unknown" || answer.code === "signatures_insufficient")) {
      const enrolled = await enrol();
      if (enrolled.kind === "failed") return enrolled;
      if (enrolled.kind === "accepted") return await client.checkin(build);
      return { kind: "pending", pollAfterSeconds: enrolled.pollAfterSeconds };
    }
    if (answer.kind === "failed" && answer.code === "device_pending") {
      return { kind: "pending", pollAfterSeconds: config.pollSeconds };
    }
    return answer;
  }

  async function enrol(): Promise<Enrolled> {
    const facts = await deviceFacts(context, await lookAround(context));
    const machine = await machineOf(context);
    const token = await readToken(context);
    return await client.enrol(
      enrolOf({ config, hostName: system.hostName(), facts, machine, token, nowMs: system.now() }),
    );
  }

  async function exchange(): Promise<Contact> {
    let contact: Contact;
    try {
      contact = await checkIn();
    } catch (error) {
      // A fault of the agent itself must not end it: what it reports is not what it does.
      contact = { kind: "failed", message: messageOf(error), code: null, members: {}, retryAfterMs: null };
    }
    waiting = contact.kind === "directive" ? contact.directive.offer?.reason ?? null : waiting;
    deps.onContact(contact);
    return contact;
  }

  function start(): Promise<Contact> {
    const before = underWay?.contact.catch(() => null) ?? Promise.resolve(null);
    const contact = before.then(exchange);
    const mine = { situation: deps.situation(), contact };
    underWay = mine;
    const done = () => {
      if (underWay === mine) underWay = null;
    };
    contact.then(done, done);
    return contact;
  }

  function soon(): void {
    if (underWay === null) {
      void start();
      return;
    }
    if (again) return; // One more is enough, however much happens meanwhile.
    again = true;
    const next = () => {
      again = false;
      if (!context.stop.aborted) soon();
    };
    underWay.contact.then(next, next);
  }

  return {
    now() {
      return underWay?.situation === deps.situation() ? underWay.contact : start();
    },
    soon,
    progress(next) {
      progress = next;
      const nowMs = system.monotonicMs();
      if (nowMs - progressSaidMs < PROGRESS_EVERY_MS || underWay !== null) return;
      progressSaidMs = nowMs;
      void start();
    },
    latestProgress: () => deps.situation().state.kind === "staging" ? progress : null,
    async sendLog(target) {
      const { seq } = await chain.next();
      const log = await activationLogOf(context);
      const answer = await client.sendLog(logDocumentOf({ config, target, log, seq, nowMs: system.now() }));
      // A refusal with a code is final; anything else may be the network.
      return answer.kind === "sent" || answer.code !== null;
    },
    async settled() {
      while (underWay !== null) await underWay.contact.catch(() => null);
    },
  };
}

async function readToken({ config, system }: Context): Promise<string | null> {
  if (config.enrolTokenFile === null) return null;
  const content = await system.files.read(config.enrolTokenFile, TOKEN_MAX_BYTES);
  if (content === null) throw new Error(`Cannot enrol as the token file "${config.enrolTokenFile}" is absent`);
  const token = new TextDecoder().decode(content).trim();
  if (/^[\x21-\x7e]{1,256}$/.test(token)) return token;
  throw new Error(
    `Cannot enrol as the token file "${config.enrolTokenFile}" holds no token of 1 to 256 ASCII characters`,
  );
}
