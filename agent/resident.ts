/**
 * The resident agent: cycles, and between them waits for the poll, the long poll, a person or the end.
 * @module
 */
import { backoffMs, messageOf } from "@nix-ota/common";
import { type Agent, firstDelayMs } from "./agent.ts";
import type { Context } from "./context.ts";

/** A long poll that is answered sooner without news is no long poll. */
const SHORT_WAIT_MS = 1_000;
/** Longest pause that useless wake-ups lead to. */
const USELESS_WAKE_MAX_MS = 60_000;

/** Runs until the context's signal fires. */
export async function runResident(context: Context, agent: Agent): Promise<void> {
  const { config, paths, stop, system } = context;
  await system.files.makeDirectory(paths.requests, 0o700);
  let wake = new AbortController();
  const watcher = system.watch(paths.requests, () => {
    void noticeRequest(context, agent);
    wake.abort();
  });
  const head = createHeadWatch(context, agent);
  try {
    await noticeRequest(context, agent);
    await recoverUntilGood(context, agent);
    await system.sleep(await firstDelayMs(context, agent.situation()), stop);
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
    await agent.reporter.settled();
  }

  async function waitFor(delayMs: number): Promise<void> {
    const waiting = AbortSignal.any([wake.signal, stop]);
    const news = new AbortController();
    const polling = head.watch(config.channel, AbortSignal.any([waiting, news.signal]), () => news.abort());
    await system.sleep(delayMs, AbortSignal.any([waiting, news.signal]));
    news.abort();
    await polling;
  }
}

/** A person's rollback ends a download or a health check that is under way. */
async function noticeRequest({ paths, system }: Context, agent: Agent): Promise<void> {
  if (await system.files.stat(paths.rollbackRequest).catch(() => null) !== null) agent.interrupt();
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

/** Holds the long poll between check-ins; losing it costs nothing but time (protocol 4.6). */
function createHeadWatch({ system }: Context, agent: Agent): {
  watch(channel: string, signal: AbortSignal, wake: () => void): Promise<void>;
} {
  let etag: string | null = null;
  let useless = 0;
  let offeredBefore: string | null = null;

  return {
    async watch(channel, signal, wake) {
      const offered = agent.offeredEtag();
      if (offered !== offeredBefore) useless = 0;
      offeredBefore = offered;
      // A server whose head changes all the time without an offer is not allowed to keep the device busy.
      if (useless > 0) await system.sleep(Math.min(USELESS_WAKE_MAX_MS, 250 * 2 ** useless), signal);
      etag ??= offered;
      while (!signal.aborted) {
        const startMs = system.monotonicMs();
        const answer = await agent.client.waitForHead({ channel, etag, readToken: agent.readToken(), signal });
        if (signal.aborted || answer.kind === "failed") return;
        if (answer.kind === "unchanged") {
          if (system.monotonicMs() - startMs < SHORT_WAIT_MS) return;
          continue;
        }
        if (answer.etag === null || answer.etag === etag) return;
        etag = answer.etag;
        if (etag === agent.offeredEtag()) continue; // Known from the last check-in.
        useless += 1;
        return wake();
      }
    },
  };
}
