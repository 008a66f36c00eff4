/**
 * When to check in: one check-in at a time, as often as there is something to say, never in the way of an update.
 * @module
 */
import { messageOf, type TrustClock } from "@nix-ota/common";
import { type Contact, contactServer } from "./contact.ts";
import type { Context } from "./context.ts";
import { logDocumentOf } from "./documents.ts";
import type { FetchProgress } from "./nix_output.ts";
import type { CheckinChain } from "./sequence.ts";
import type { ServerClient } from "./server.ts";
import type { Deployment, Situation } from "./state.ts";
import { activationLogOf } from "./switch_job.ts";

/** Shortest time between two check-ins that only tell how far a download is. */
const PROGRESS_EVERY_MS = 2_000;

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
export class Reporter {
  readonly #deps: ReporterDeps;
  #progress: FetchProgress | null = null;
  #progressSaidMs = -Infinity;
  #waiting: string | null = null;
  #underWay: { readonly situation: Situation; readonly contact: Promise<Contact> } | null = null;
  #again = false;

  constructor(deps: ReporterDeps) {
    this.#deps = deps;
  }

  /** The newest progress, or null outside of a download. */
  get progress(): FetchProgress | null {
    return this.#deps.situation().state.kind === "staging" ? this.#progress : null;
  }

  /** Checks in and waits for the answer; joins a check-in under way that says the same. */
  now(): Promise<Contact> {
    return this.#underWay?.situation === this.#deps.situation() ? this.#underWay.contact : this.#start();
  }

  /** Checks in without anyone waiting. */
  soon(): void {
    if (this.#underWay === null) {
      void this.#start();
      return;
    }
    if (this.#again) return; // One more is enough, however much happens meanwhile.
    this.#again = true;
    void this.#underWay.contact.then(() => {
      this.#again = false;
      if (!this.#deps.context.stop.aborted) this.soon();
    });
  }

  /** Notes how far a download is, and says so now and then. */
  noteProgress(progress: FetchProgress): void {
    this.#progress = progress;
    const nowMs = this.#deps.context.system.monotonicMs();
    if (nowMs - this.#progressSaidMs < PROGRESS_EVERY_MS || this.#underWay !== null) return;
    this.#progressSaidMs = nowMs;
    void this.#start();
  }

  /** Sends the log of a failed activation; false where it has to be tried again. */
  async sendLog(target: Deployment): Promise<boolean> {
    const { context, chain, client } = this.#deps;
    const { config, system } = context;
    const { seq } = await chain.next();
    const log = await activationLogOf(context);
    const answer = await client.sendLog(logDocumentOf({ config, target, log, seq, nowMs: system.now() }));
    // A refusal with a code is final; anything else may be the network.
    return answer.kind === "sent" || answer.code !== null;
  }

  /** Resolves when nothing is under way. */
  async settled(): Promise<void> {
    while (this.#underWay !== null) await this.#underWay.contact;
  }

  #start(): Promise<Contact> {
    const before = this.#underWay?.contact ?? Promise.resolve();
    const contact = before.then(() => this.#exchange());
    const mine = { situation: this.#deps.situation(), contact };
    this.#underWay = mine;
    void contact.then(() => {
      if (this.#underWay === mine) this.#underWay = null;
    });
    return contact;
  }

  /** Never fails: a fault of the agent itself must not end it, for what it reports is not what it does. */
  async #exchange(): Promise<Contact> {
    const { context, client, clock, situation, onContact } = this.#deps;
    let contact: Contact;
    try {
      contact = await contactServer(context, client, {
        situation: situation(),
        progress: this.progress,
        waiting: this.#waiting,
        clock: await clock(),
      });
    } catch (error) {
      contact = { kind: "failed", message: messageOf(error), code: null, members: {}, retryAfterMs: null };
    }
    if (contact.kind === "directive") this.#waiting = contact.directive.offer?.reason ?? null;
    onContact(contact);
    return contact;
  }
}
