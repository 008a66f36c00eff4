/**
 * The resident agent: cycles, and between them waits for the poll, the long poll, a person or the end.
 * @module
 */
import { backoffMs, firstPollMs, messageOf } from "@nix-ota/common";
import type { Agent } from "./agent.ts";
import type { Context } from "./context.ts";
import type { Situation } from "./state.ts";

/** A long poll that is answered sooner without news is no long poll. */
const SHORT_WAIT_MS = 1_000;
/** A device that booted so recently spreads its first check-in: the end of a power cut is not to be a stampede. */
const FRESH_BOOT_SECONDS = 300;
/** Longest pause that useless wake-ups lead to. */
const USELESS_WAKE_MAX_MS = 60_000;

/** Runs until the context's signal fires. */
export async function runResident(context: Context, agent: Agent): Promise<void> {
  const { paths, stop, system } = context;
  await system.files.makeDirectory(paths.requests, 0o700);
  let wake = new AbortController();
  const watcher = system.watch(
    paths.requests,
    () => void noticeRequests(context, agent).then((any) => any && wake.abort()),
  );
  const head = createHeadWatch(context, agent);
  try {
    await noticeRequests(context, agent);
    await recoverUntilGood(context, agent);
    await system.sleep(await firstDelayMs(context, agent.situation), stop);
    while (!stop.aborted) {
      wake = new AbortController();
      let delayMs: number;
      try {
        const contact = await agent.cycle();
        // What a person asked for meanwhile comes before waiting.
        delayMs = await agent.takeRequests() ? 0 : agent.delayAfter(contact);
      } catch (error) {
        // The journal could not be written, or the agent has a fault: look at the device afresh, later.
        system.log("error", "a cycle failed", { detail: messageOf(error) });
        await system.sleep(backoffMs(0, system.random), stop);
        await recoverUntilGood(context, agent);
        continue;
      }
      if (delayMs > 0) await waitFor(delayMs);
    }
  } finally {
    watcher.close();
    await agent.close();
  }

  async function waitFor(delayMs: number): Promise<void> {
    const waiting = AbortSignal.any([wake.signal, stop]);
    const news = new AbortController();
    const polling = head.watch(AbortSignal.any([waiting, news.signal]), () => news.abort());
    await system.sleep(delayMs, AbortSignal.any([waiting, news.signal]));
    news.abort();
    await polling;
  }
}

/** Whether a person asks for something; a rollback ends a download or a health check that is under way. */
async function noticeRequests({ paths, system: { files } }: Context, agent: Agent): Promise<boolean> {
  const requests = [paths.rollbackRequest, paths.retryRequest, paths.checkRequest];
  const [rollback, ...others] = await Promise.all(requests.map((path) => files.stat(path).catch(() => null)));
  if (rollback) agent.interrupt();
  return [rollback, ...others].some((found) => found);
}

async function recoverUntilGood({ stop, system }: Context, agent: Agent): Promise<void> {
  for (let delayMs = 0; !stop.aborted;) {
    try {
      return await agent.start();
    } catch (error) {
      delayMs = backoffMs(delayMs, system.random);
      system.log("error", "cannot take up where the agent was", { detail: messageOf(error), retryMs: delayMs });
      await system.sleep(delayMs, stop);
    }
  }
}

/** The delay before the first check-in: none, unless the machine has just booted again, as the whole fleet may have. */
async function firstDelayMs({ config, system }: Context, { sinceMs }: Situation): Promise<number> {
  if (system.now() - sinceMs < FRESH_BOOT_SECONDS * 1000) return 0; // Something was under way, or this is the first start.
  const content = await system.files.read("/proc/uptime", 256).catch(() => null);
  const uptime = Number(content === null ? NaN : new TextDecoder().decode(content).split(" ")[0]);
  return uptime < FRESH_BOOT_SECONDS ? firstPollMs(config.pollSeconds * 1000, system.random) : 0;
}

/** Holds the long poll between check-ins; losing it costs nothing but time (protocol 4.6). */
function createHeadWatch({ system }: Context, agent: Agent): {
  watch(signal: AbortSignal, wake: () => void): Promise<void>;
} {
  let etag: string | null = null;
  let useless = 0;
  let offeredBefore: string | null = null;

  return {
    async watch(signal, wake) {
      const offered = agent.offeredEtag;
      if (offered !== offeredBefore) useless = 0;
      offeredBefore = offered;
      // A server whose head changes all the time without an offer is not allowed to keep the device busy.
      if (useless > 0) await system.sleep(Math.min(USELESS_WAKE_MAX_MS, 250 * 2 ** useless), signal);
      etag ??= offered;
      while (!signal.aborted) {
        const startMs = system.monotonicMs();
        const answer = await agent.waitForHead(etag, signal);
        if (signal.aborted || answer.kind === "failed") return;
        if (answer.kind === "unchanged") {
          if (system.monotonicMs() - startMs < SHORT_WAIT_MS) return;
          continue;
        }
        if (answer.etag === null || answer.etag === etag) return;
        etag = answer.etag;
        if (etag === agent.offeredEtag) continue; // Known from the last check-in.
        useless += 1;
        return wake();
      }
    },
  };
}
