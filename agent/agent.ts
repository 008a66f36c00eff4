/**
 * The agent at work: recover, then check in, stage, activate, report, wait, for ever.
 * @module
 */
import {
  backoffMs,
  type Directive,
  firstPollMs,
  formatEtag,
  messageOf,
  nextPollMs,
  type Offer,
  type TrustClock,
} from "@nix-ota/common";
import { type Context, runProgram } from "./context.ts";
import type { Identity } from "./device_key.ts";
import { lookAround } from "./device.ts";
import { decideOffer } from "./directive.ts";
import { createEffects } from "./effects.ts";
import type { Event } from "./events.ts";
import type { Journal } from "./journal.ts";
import { settle } from "./loop.ts";
import type { Policy } from "./step.ts";
import { recover } from "./recover.ts";
import { acceptForDevice, deploymentOf, issuedMsOf, storeRelease } from "./releases.ts";
import { type Contact, createReporter, type Reporter } from "./reporter.ts";
import type { CheckinChain } from "./sequence.ts";
import { createServerClient } from "./server.ts";
import { floorKey, type Situation } from "./state.ts";
import { findSwitchJob } from "./switch_job.ts";
import { clockArgv, parseClockSynced } from "./systemd.ts";
import { AGENT_BUILT_MS } from "./version.ts";

/** Steps of one cycle: offer, permission, report, and some for releases that overtake one another. */
const ROUNDS_MAX = 8;
/** How long the word of the system on its clock is believed. */
const CLOCK_MS = 60_000;
/** Longest time to tell the server before a reboot. */
const LAST_WORDS_MS = 3_000;
/** A device that booted so recently spreads its first check-in: the end of a power cut is not to be a stampede. */
const FRESH_BOOT_SECONDS = 300;

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
  readonly progress: ReturnType<Reporter["latestProgress"]>;
}

/** A running agent. */
export interface Agent {
  /** Finds out what happened while the agent was away, and goes on from there. */
  start(): Promise<void>;
  /** Checks in and does all that there is to do now. */
  cycle(): Promise<Contact>;
  /** Settles an event from a person. */
  handle(event: Event): Promise<void>;
  /** Looks at the request files; answers whether there was one. */
  takeRequests(): Promise<boolean>;
  /** Ends in order: waits for what is said to the server, and keeps what makes the next start quick. */
  close(): Promise<void>;
  /** Interrupts a download or a health check: a person asked for something else. */
  interrupt(): void;
  situation(): Situation;
  /** Milliseconds until the next check-in after this contact. */
  delayAfter(contact: Contact): number;
  view(): AgentView;
  reporter: Reporter;
  /** Waits for the head of the channel to change; see `wake.ts`. */
  readonly client: ReturnType<typeof createServerClient>;
  readToken(): string | null;
  /** The ETag of what the server last offered. */
  offeredEtag(): string | null;
}

/** Puts an agent together. */
export function createAgent(deps: AgentDeps): Agent {
  const { context, chain, journal } = deps;
  const { config, paths, system } = context;
  const client = createServerClient(context, deps.identity, chain);
  let situation = deps.situation;
  let contact: Contact | null = null;
  let contactMs: number | null = null;
  let dueMs: number | null = null;
  let readToken: string | null = null;
  let offered: Offer | null = null;
  let failureDelayMs = 0;
  let stageInterrupt = new AbortController();
  let probeInterrupt = new AbortController();
  /** Whether a person waits for something that ends what is under way. */
  let interrupting = false;
  const holds = new Map<string, { untilMs: number; delayMs: number }>();
  let clockSeen: { readonly atMs: number; readonly synchronised: boolean } | null = null;

  const reporter = createReporter({ context, client, chain, situation: () => situation, clock, onContact });
  const runEffect = createEffects(context, {
    clock,
    report: () => reporter.soon(),
    reportBeforeReboot: async () => {
      const enough = new AbortController();
      await Promise.race([reporter.now(), system.sleep(LAST_WORDS_MS, enough.signal)]);
      enough.abort();
    },
    onProgress: (progress) => {
      reporter.progress(progress);
      deps.onView(view());
    },
    interrupted: (effect) => {
      const fresh = new AbortController();
      if (effect === "stage") stageInterrupt = fresh;
      else probeInterrupt = fresh;
      if (interrupting) fresh.abort();
      return AbortSignal.any([fresh.signal, context.stop]);
    },
  });

  function view(): AgentView {
    return { situation, contact, contactMs, nextPollMs: dueMs, progress: reporter.latestProgress() };
  }

  function onContact(next: Contact): void {
    if (
      next.kind !== contact?.kind ||
      (next.kind === "failed" && contact.kind === "failed" && next.message !== contact.message)
    ) {
      logContact(next);
    }
    contact = next;
    if (next.kind !== "failed") contactMs = system.now();
    if (next.kind === "directive") {
      readToken = next.directive.readToken;
      offered = next.directive.offer;
      overtake(next.directive);
    }
    deps.onView(view());
  }

  /** A fetch under way is given up for a newer release: it may be the mend of the one that is fetched. */
  function overtake({ offer }: Directive): void {
    const { state } = situation;
    if (state.kind !== "staging" || offer === null || offer.channel !== config.channel) return;
    if (offer.stage && offer.revision > state.target.revision) stageInterrupt.abort();
  }

  function logContact(next: Contact): void {
    switch (next.kind) {
      case "directive":
        return system.log("info", "in contact with the server", { server: config.server });
      case "pending":
        return system.log("warn", "waiting for an operator to accept this device", {
          deviceId: config.deviceId,
          fingerprint: deps.identity.fingerprint,
        });
      case "failed":
        return system.log("warn", "no answer to go on with", { detail: next.message });
    }
  }

  async function clock(): Promise<TrustClock> {
    const nowMs = system.monotonicMs();
    if (clockSeen === null || nowMs - clockSeen.atMs > CLOCK_MS) {
      clockSeen = { atMs: nowMs, synchronised: await isClockSet(context) };
    }
    const floorMs = Math.max(AGENT_BUILT_MS, situation.memory.timeFloorMs);
    return { systemMs: system.now(), synchronised: clockSeen.synchronised, floorMs };
  }

  function policy(): Policy {
    const { fleet, channel } = config;
    return { fleet, channel, nowMs: system.now(), canReboot: context.tools.systemctl !== null };
  }

  async function handle(event: Event): Promise<void> {
    await settle(situation, event, {
      journal,
      policy,
      runEffect,
      look: () => lookAround(context),
      onChange: (next, because) => {
        if (next !== situation) logChange(next, because);
        situation = next;
        deps.onView(view());
      },
      signal: context.stop,
    });
  }

  function logChange(next: Situation, because: Event): void {
    const { state, memory } = next;
    const target = state.kind === "idle" ? null : state.target;
    system.log("info", state.kind, {
      because: because.kind,
      revision: target?.revision ?? memory.last?.release?.revision,
      storePath: target?.storePath ?? memory.last?.release?.storePath,
      ...(state.kind === "idle"
        ? { result: memory.last?.result, reason: memory.last?.reason, detail: memory.last?.detail }
        : {}),
    });
  }

  async function start(): Promise<void> {
    const look = await lookAround(context);
    const open = situation.state.kind === "trial";
    const job = open ? await findSwitchJob(context) : { kind: "none" } as const;
    const event = recover(situation, { look, job, channel: config.channel });
    if (situation.state.kind !== "idle") {
      system.log("info", "taking up again", { state: situation.state.kind, because: event.kind });
    }
    await handle(event);
  }

  async function cycle(): Promise<Contact> {
    for (let round = 1;; round++) {
      await takeRequests();
      const answer = await reporter.now();
      if (answer.kind !== "directive" || context.stop.aborted) return answer;
      if (situation.memory.unsentLog !== null) await sendLog();
      const before = situation;
      const event = await consider(answer.directive);
      if (event !== null) await handle(event);
      hold(answer.directive.offer);
      if (situation === before || round >= ROUNDS_MAX || context.stop.aborted) return answer;
    }
  }

  async function sendLog(): Promise<void> {
    const { unsentLog } = situation.memory;
    if (unsentLog !== null && await reporter.sendLog(unsentLog)) await handle({ kind: "log-sent" });
  }

  /** What a directive leads to: at most one event, made of what was verified here. */
  async function consider({ offer }: Directive): Promise<Event | null> {
    const look = await lookAround(context);
    const until = offer === null ? undefined : holds.get(offer.digest)?.untilMs;
    const held = until !== undefined && system.monotonicMs() < until;
    const decision = decideOffer(situation, offer, { channel: config.channel, running: look.running, held });
    if (decision.kind === "activate") return { kind: "permitted", digest: decision.digest };
    if (decision.kind === "nothing" && decision.why === "overridden") return { kind: "drifted" };
    if (decision.kind === "nothing" || offer === null) return null;
    const fetched = await client.release(offer.channel, offer.revision, readToken);
    if (fetched.kind === "failed") {
      system.log("warn", "the release could not be fetched", { revision: offer.revision, detail: fetched.message });
      noteFailure(offer.digest);
      return null;
    }
    // Whatever is served is judged by itself; that it was offered proves nothing, and that it is another one neither.
    const floor = situation.memory.floors[floorKey(config)] ?? null;
    const acceptance = await acceptForDevice(context, { envelope: fetched.envelope, floor, clock: await clock() });
    if (acceptance.kind === "refused") {
      system.log("error", "refused a release", {
        revision: offer.revision,
        code: acceptance.code,
        detail: acceptance.message,
      });
      const { revision, digest } = offer;
      const failure = { reason: acceptance.code, detail: acceptance.message };
      return { kind: "refused", release: { revision, digest }, failure };
    }
    if (acceptance.stale) system.log("warn", "the release has expired, by a clock that nothing has set", {});
    // A server that offers one thing and serves another is not asked for it again and again.
    if (acceptance.verified.digest !== offer.digest) noteFailure(offer.digest);
    await storeRelease(context, acceptance.verified);
    const target = deploymentOf(acceptance);
    return { kind: "offered", target, issuedMs: issuedMsOf(acceptance.verified), look: await lookAround(context) };
  }

  /** After a failed attempt at what is offered, the next one waits, longer each time. */
  function hold(offer: Offer | null): void {
    const { state, memory } = situation;
    if (offer === null || state.kind !== "idle" || memory.last?.release?.digest !== offer.digest) return;
    const { result } = memory.last;
    if (result === "succeeded" || result === "succeeded_with_warnings") holds.delete(offer.digest);
    else if ((holds.get(offer.digest)?.untilMs ?? 0) <= system.monotonicMs()) noteFailure(offer.digest);
  }

  function noteFailure(digest: string): void {
    const delayMs = backoffMs(holds.get(digest)?.delayMs ?? 0, system.random);
    if (holds.size > 64) holds.clear(); // A server that invents digests without end.
    holds.set(digest, { delayMs, untilMs: system.monotonicMs() + delayMs });
  }

  async function takeRequests(): Promise<boolean> {
    const { files } = system;
    let taken = false;
    interrupting = false;
    if (await files.stat(paths.rollbackRequest) !== null) {
      await handle({ kind: "rollback-requested", look: await lookAround(context) });
      await files.remove(paths.rollbackRequest); // After it was settled: a request that is cut off is taken up again.
      taken = true;
    }
    if (await files.stat(paths.retryRequest) !== null) {
      await files.remove(paths.retryRequest);
      holds.clear();
      await handle({ kind: "retry-requested" });
      taken = true;
    }
    if (await files.stat(paths.checkRequest) !== null) {
      await files.remove(paths.checkRequest);
      taken = true;
    }
    return taken;
  }

  function delayAfter(last: Contact): number {
    const delayMs = delayOf(last);
    dueMs = system.now() + delayMs;
    deps.onView(view());
    return delayMs;
  }

  function delayOf(last: Contact): number {
    if (last.kind !== "failed") {
      failureDelayMs = 0;
      const seconds = last.kind === "directive" ? last.directive.pollAfterSeconds : last.pollAfterSeconds;
      const pollMs = nextPollMs((seconds === 0 ? config.pollSeconds : seconds) * 1000, system.random);
      const offer = last.kind === "directive" ? last.directive.offer : null;
      const until = offer === null ? undefined : holds.get(offer.digest)?.untilMs;
      // An attempt that waits is made when its time has come.
      return until === undefined ? pollMs : Math.min(pollMs, Math.max(1_000, until - system.monotonicMs()));
    }
    failureDelayMs = backoffMs(failureDelayMs, system.random);
    return Math.max(failureDelayMs, last.retryAfterMs ?? 0);
  }

  return {
    start,
    cycle,
    handle,
    takeRequests,
    async close() {
      await reporter.settled();
      await chain.close();
    },
    interrupt: () => {
      interrupting = true;
      stageInterrupt.abort();
      probeInterrupt.abort();
    },
    situation: () => situation,
    delayAfter,
    view,
    reporter,
    client,
    readToken: () => readToken,
    offeredEtag: () => offered === null ? null : formatEtag(offered.digest),
  };
}

/** The delay before the first check-in: none, unless the machine has just booted again, as the whole fleet may have. */
export async function firstDelayMs(
  { config, system }: Pick<Context, "config" | "system">,
  { sinceMs }: Situation,
): Promise<number> {
  if (system.now() - sinceMs < FRESH_BOOT_SECONDS * 1000) return 0; // Something was under way, or this is the first start.
  const content = await system.files.read("/proc/uptime", 256).catch(() => null);
  const uptime = Number(content === null ? NaN : new TextDecoder().decode(content).split(" ")[0]);
  const fresh = uptime < FRESH_BOOT_SECONDS;
  return fresh ? firstPollMs(config.pollSeconds * 1000, system.random) : 0;
}

async function isClockSet(context: Context): Promise<boolean> {
  const { system, tools } = context;
  if (await system.files.stat("/run/systemd/timesync/synchronized") !== null) return true;
  if (tools.systemctl === null) return true; // Nobody says that it is not.
  const timedatectl = tools.systemctl.replace(/systemctl$/, "timedatectl");
  try {
    const ran = await runProgram(context, clockArgv(timedatectl), { timeoutMs: 5_000 });
    return ran.code !== 0 || parseClockSynced(ran.stdout);
  } catch (error) {
    system.log("warn", "cannot tell whether the clock is set", { detail: messageOf(error) });
    return true;
  }
}
