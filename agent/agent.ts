/**
 * The agent at work: recover, then check in, stage, activate, report, as often as it is asked to.
 * @module
 */
import { backoffMs, type Directive, formatEtag, nextPollMs, type Offer, type TrustClock } from "@nix-ota/common";
import { createTrustClock } from "./clock.ts";
import type { Contact } from "./contact.ts";
import type { Context } from "./context.ts";
import type { Identity } from "./device_key.ts";
import { lookAround } from "./device.ts";
import { createEffects, type EffectHooks, type EffectRunner, SUPERSEDED } from "./effects.ts";
import type { Event } from "./events.ts";
import { Holds } from "./holds.ts";
import type { Journal } from "./journal.ts";
import { settle } from "./loop.ts";
import type { FetchProgress } from "./nix_output.ts";
import { considerOffer } from "./offers.ts";
import { recover } from "./recover.ts";
import { Reporter } from "./reporter.ts";
import type { CheckinChain } from "./sequence.ts";
import { type HeadAnswer, ServerClient } from "./server.ts";
import type { Situation } from "./state.ts";
import type { Policy } from "./step.ts";
import { findSwitchJob } from "./switch_job.ts";

/** Steps of one cycle: offer, permission, report, and some for releases that overtake one another. */
const ROUNDS_MAX = 8;
/** Longest time to tell the server before a reboot. */
const LAST_WORDS_MS = 3_000;
/** Shortest time until an attempt that waits is made, so that waiting never becomes a loop. */
const WAIT_MIN_MS = 1_000;

/** What an agent needs. */
export interface AgentDeps {
  readonly context: Context;
  readonly identity: Identity;
  readonly chain: CheckinChain;
  readonly journal: Journal;
  /** What the journal said at start. */
  readonly situation: Situation;
  /** Called after everything that a person who looks would want to see. */
  readonly onView: (view: AgentView) => void;
}

/** What the agent shows of itself. */
export interface AgentView {
  readonly situation: Situation;
  readonly contact: Contact | null;
  /** When the server last answered, milliseconds since 1970, or null. */
  readonly contactMs: number | null;
  /** When the next check-in is due, milliseconds since 1970, or null. */
  readonly nextPollMs: number | null;
  readonly progress: FetchProgress | null;
}

/** An agent on an opened state directory. One thing at a time: its methods are not to be called at once, but `interrupt`. */
export class Agent {
  readonly #deps: AgentDeps;
  readonly #context: Context;
  readonly #client: ServerClient;
  readonly #reporter: Reporter;
  readonly #holds: Holds;
  readonly #clock: () => Promise<TrustClock>;
  readonly #runEffect: EffectRunner;
  #situation: Situation;
  #contact: Contact | null = null;
  #contactMs: number | null = null;
  #nextPollMs: number | null = null;
  #failureDelayMs = 0;
  /** What the server last offered, and the token that it lent. */
  #offer: Offer | null = null;
  #readToken: string | null = null;
  #fetching = new AbortController();
  #probing = new AbortController();
  /** Whether a person waits for something that ends what is under way. */
  #interrupting = false;

  constructor(deps: AgentDeps) {
    const { context, chain, identity, situation } = deps;
    const { system } = context;
    this.#deps = deps;
    this.#context = context;
    this.#situation = situation;
    this.#client = new ServerClient(context, identity, chain);
    this.#holds = new Holds({ nowMs: () => system.monotonicMs(), random: () => system.random() });
    this.#clock = createTrustClock(context, () => this.#situation.memory.timeFloorMs);
    this.#reporter = new Reporter({
      context,
      client: this.#client,
      chain,
      situation: () => this.#situation,
      clock: this.#clock,
      onContact: (contact) => this.#noteContact(contact),
    });
    this.#runEffect = createEffects(context, this.#effectHooks());
  }

  /** Where the device stands, as the journal has it. */
  get situation(): Situation {
    return this.#situation;
  }

  /** The ETag of what the server last offered, or null. */
  get offeredEtag(): string | null {
    return this.#offer === null ? null : formatEtag(this.#offer.digest);
  }

  /** Finds out what happened while the agent was away, and goes on from there. */
  async start(): Promise<void> {
    const { config, system } = this.#context;
    const { kind } = this.#situation.state;
    const job = kind === "trial" ? await findSwitchJob(this.#context) : { kind: "none" } as const;
    // Only then: what ran while a switch went on says nothing about how it ended.
    const look = await lookAround(this.#context);
    const event = recover(this.#situation, { look, job, channel: config.channel });
    if (kind !== "idle") system.log("info", "taking up again", { state: kind, because: event.kind });
    await this.handle(event);
  }

  /** Checks in and does all that there is to do now; answers with the last contact. */
  async cycle(): Promise<Contact> {
    const { stop } = this.#context;
    for (let round = 1;; round++) {
      await this.takeRequests();
      const contact = await this.#reporter.now();
      if (contact.kind !== "directive" || stop.aborted) return contact;
      await this.#sendLog();
      const before = this.#situation;
      const { offer, readToken } = contact.directive;
      const deps = { context: this.#context, client: this.#client, holds: this.#holds, clock: this.#clock };
      const event = await considerOffer(deps, before, { offer, readToken });
      if (event !== null) await this.handle(event);
      this.#hold(offer);
      if (this.#situation === before || round >= ROUNDS_MAX || stop.aborted) return contact;
    }
  }

  /** Settles an event. @throws Whatever writing the journal throws; nothing was done then. */
  async handle(event: Event): Promise<void> {
    await settle(this.#situation, event, {
      journal: this.#deps.journal,
      policy: () => this.#policy(),
      runEffect: this.#runEffect,
      look: () => lookAround(this.#context),
      onChange: (next, because) => this.#noteChange(next, because),
      signal: this.#context.stop,
    });
  }

  /** Does what notes from people ask for; answers whether there was one. */
  async takeRequests(): Promise<boolean> {
    const { paths, system: { files } } = this.#context;
    this.#interrupting = false;
    const asked = async (path: string): Promise<boolean> => await files.stat(path) !== null;
    let taken = false;
    if (await asked(paths.rollbackRequest)) {
      await this.handle({ kind: "rollback-requested", look: await lookAround(this.#context) });
      await files.remove(paths.rollbackRequest); // Now only: a request that is cut off is taken up again.
      taken = true;
    }
    if (await asked(paths.retryRequest)) {
      await files.remove(paths.retryRequest);
      this.#holds.release();
      await this.handle({ kind: "retry-requested" });
      taken = true;
    }
    if (await asked(paths.checkRequest)) {
      await files.remove(paths.checkRequest);
      taken = true;
    }
    return taken;
  }

  /** Ends a download or a health check under way, for a person who asked for something else. */
  interrupt(): void {
    this.#interrupting = true;
    this.#fetching.abort();
    this.#probing.abort();
  }

  /** Milliseconds until the next check-in after this contact. */
  delayAfter(contact: Contact): number {
    const delayMs = this.#delayAfter(contact);
    this.#nextPollMs = this.#context.system.now() + delayMs;
    this.#show();
    return delayMs;
  }

  /** Waits until the channel's head is another one than `etag` (protocol 4.6). */
  async waitForHead(etag: string | null, signal: AbortSignal): Promise<HeadAnswer> {
    const { channel } = this.#context.config;
    return await this.#client.waitForHead({ channel, etag, readToken: this.#readToken, signal });
  }

  /** Ends in order: waits for what is being said to the server, and keeps what makes the next start quick. */
  async close(): Promise<void> {
    await this.#reporter.settled();
    await this.#deps.chain.close();
  }

  #effectHooks(): EffectHooks {
    const { system, stop } = this.#context;
    return {
      clock: this.#clock,
      report: () => this.#reporter.soon(),
      reportBeforeReboot: async () => {
        const enough = new AbortController();
        await Promise.race([this.#reporter.now(), system.sleep(LAST_WORDS_MS, enough.signal)]);
        enough.abort();
      },
      onProgress: (progress) => {
        this.#reporter.noteProgress(progress);
        this.#show();
      },
      interrupted: (effect) => {
        const fresh = new AbortController();
        if (effect === "stage") this.#fetching = fresh;
        else this.#probing = fresh;
        if (this.#interrupting) fresh.abort();
        return AbortSignal.any([fresh.signal, stop]);
      },
    };
  }

  #policy(): Policy {
    const { config: { fleet, channel }, system, tools } = this.#context;
    return { fleet, channel, nowMs: system.now(), canReboot: tools.systemctl !== null };
  }

  #show(): void {
    this.#deps.onView({
      situation: this.#situation,
      contact: this.#contact,
      contactMs: this.#contactMs,
      nextPollMs: this.#nextPollMs,
      progress: this.#reporter.progress,
    });
  }

  #noteChange(next: Situation, because: Event): void {
    if (next !== this.#situation) logChange(this.#context, next, because);
    this.#situation = next;
    this.#show();
  }

  #noteContact(next: Contact): void {
    if (isNews(this.#contact, next)) logContact(this.#deps, next);
    this.#contact = next;
    if (next.kind !== "failed") this.#contactMs = this.#context.system.now();
    if (next.kind === "directive") {
      this.#offer = next.directive.offer;
      this.#readToken = next.directive.readToken;
      this.#overtake(next.directive);
    }
    this.#show();
  }

  /** A download is given up for a newer release: it may be the mend of the one that is fetched. */
  #overtake({ offer }: Directive): void {
    const { state } = this.#situation;
    if (state.kind !== "staging" || offer === null || offer.channel !== this.#context.config.channel) return;
    if (offer.stage && offer.revision > state.target.revision) this.#fetching.abort(SUPERSEDED);
  }

  async #sendLog(): Promise<void> {
    const { unsentLog } = this.#situation.memory;
    if (unsentLog !== null && await this.#reporter.sendLog(unsentLog)) await this.handle({ kind: "log-sent" });
  }

  /** After a failed attempt at what is offered, the next one waits, longer each time. */
  #hold(offer: Offer | null): void {
    const { state, memory: { last } } = this.#situation;
    if (offer === null || state.kind !== "idle" || last?.release?.digest !== offer.digest) return;
    if (last.result === "succeeded" || last.result === "succeeded_with_warnings") this.#holds.release(offer.digest);
    else this.#holds.note(offer.digest);
  }

  #delayAfter(contact: Contact): number {
    const { config, system } = this.#context;
    if (contact.kind === "failed") {
      this.#failureDelayMs = backoffMs(this.#failureDelayMs, system.random);
      return Math.max(this.#failureDelayMs, contact.retryAfterMs ?? 0);
    }
    this.#failureDelayMs = 0;
    const asked = contact.kind === "directive" ? contact.directive.pollAfterSeconds : contact.pollAfterSeconds;
    const pollMs = nextPollMs((asked || config.pollSeconds) * 1000, system.random);
    const offer = contact.kind === "directive" ? contact.directive.offer : null;
    const heldMs = offer === null ? 0 : this.#holds.leftMs(offer.digest);
    // An attempt that waits is made when its time has come.
    return heldMs === 0 ? pollMs : Math.min(pollMs, Math.max(WAIT_MIN_MS, heldMs));
  }
}

function isNews(before: Contact | null, next: Contact): boolean {
  if (next.kind !== before?.kind) return true;
  return next.kind === "failed" && before.kind === "failed" && next.message !== before.message;
}

function logContact({ context: { config, system }, identity }: AgentDeps, contact: Contact): void {
  switch (contact.kind) {
    case "directive":
      return system.log("info", "in contact with the server", { server: config.server });
    case "pending":
      return system.log("warn", "waiting for an operator to accept this device", {
        deviceId: config.deviceId,
        fingerprint: identity.fingerprint,
      });
    case "failed":
      return system.log("warn", "no answer to go on with", { detail: contact.message });
  }
}

function logChange({ system }: Context, { state, memory: { last } }: Situation, because: Event): void {
  const idle = state.kind === "idle";
  const about = idle ? last?.release : state.target;
  system.log("info", state.kind, {
    because: because.kind,
    revision: about?.revision,
    storePath: about?.storePath,
    ...(idle ? { result: last?.result, reason: last?.reason, detail: last?.detail } : {}),
  });
}
