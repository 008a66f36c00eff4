/**
 * One runner per effect. Each runs and answers with an event; a failure is an event, not an exception.
 * @module
 */
import { messageOf, type TrustClock, unreachable } from "@nix-ota/common";
import { applyTarget, awaitTarget, prepareActivation, revertTo } from "./activate.ts";
import { linkDurably, makeDirectoryDurably } from "./atomic_file.ts";
import { type Context, runProgram } from "./context.ts";
import { lookAround } from "./device.ts";
import type { Effect, Event } from "./events.ts";
import { probeHealth } from "./health.ts";
import type { FetchProgress } from "./nix_output.ts";
import { forgetReleases, loadRelease, RefusedReleaseError } from "./releases.ts";
import { stageClosure } from "./stage.ts";
import { StageError } from "./stage_error.ts";
import { type Deployment, floorKey, type Situation } from "./state.ts";
import { rebootArgv } from "./systemd.ts";

/** What effects need besides the context. */
export interface EffectHooks {
  readonly clock: () => Promise<TrustClock>;
  /** Tells the server soon; does not wait. */
  readonly report: () => void;
  /** Tells the server now, for at most some seconds: the machine is about to restart. */
  readonly reportBeforeReboot: () => Promise<void>;
  readonly onProgress: (progress: FetchProgress) => void;
  /** Fires when a person or a newer release ends a fetch, or a person a health check. */
  readonly interrupted: (effect: "stage" | "probe") => AbortSignal;
}

/** Runs effects. */
export type EffectRunner = (effect: Effect, situation: Situation) => Promise<Event | null>;

/** A closure that was checked so shortly before activation is not read once more: 10 minutes. */
const CHECKED_MS = 10 * 60_000;
/** Why a download is given up for a newer release: the reason of the signal. */
export const SUPERSEDED = "superseded";
/** Longest time to ask for a reboot. */
const REBOOT_MS = 60_000;

/** Makes the runner of all effects. */
export function createEffects(context: Context, hooks: EffectHooks): EffectRunner {
  const checks = new RecentChecks(context);
  return async (effect, situation) => {
    switch (effect.kind) {
      case "stage":
        return await stage(context, hooks, { target: effect.target, checks });
      case "prepare": {
        const accepted = async () => await loadRelease(context, effect.target, await hooks.clock());
        const checkedBefore = checks.take(effect.target);
        return await prepareActivation(context, effect.target, { accepted, checkedBefore });
      }
      case "apply":
        return await applyTarget(context, effect);
      case "await-switch":
        return await awaitTarget(context);
      case "reboot":
        return await reboot(context, hooks);
      case "probe":
        return await probeHealth(context, effect.target, hooks.interrupted("probe"));
      case "revert": {
        const attempt = situation.state.kind === "rolling_back" ? situation.state.attempt : 1;
        return await revertTo(context, { prev: effect.prev, how: effect.how, attempt });
      }
      case "tidy":
        await tidy(context, situation);
        return null;
      case "report":
        hooks.report();
        return null;
      default:
        return unreachable(effect);
    }
  };
}

/** The closure that this life of the agent checked last, and when: read again only where that is long ago. */
class RecentChecks {
  readonly #context: Context;
  #last: { readonly digest: string; readonly atMs: number } | null = null;

  constructor(context: Context) {
    this.#context = context;
  }

  note({ digest }: Deployment): void {
    this.#last = { digest, atMs: this.#context.system.monotonicMs() };
  }

  /** Whether a closure was checked a moment ago; counts once. */
  take({ digest }: Deployment): boolean {
    const last = this.#last;
    this.#last = null;
    return last?.digest === digest && this.#context.system.monotonicMs() - last.atMs < CHECKED_MS;
  }
}

async function stage(
  context: Context,
  hooks: EffectHooks,
  { target, checks }: { target: Deployment; checks: RecentChecks },
): Promise<Event> {
  const signal = hooks.interrupted("stage");
  try {
    const accepted = await loadRelease(context, target, await hooks.clock());
    await stageClosure(context, { accepted, onProgress: hooks.onProgress, signal });
    checks.note(target);
    return { kind: "stage-succeeded" };
  } catch (error) {
    if (signal.reason === SUPERSEDED) {
      return { kind: "stage-failed", failure: { reason: "superseded", detail: null }, remember: false };
    }
    if (error instanceof StageError) {
      return { kind: "stage-failed", failure: error.failure, remember: error.remember };
    }
    const reason = error instanceof RefusedReleaseError ? error.code : "interrupted";
    return { kind: "stage-failed", failure: { reason, detail: messageOf(error) }, remember: false };
  }
}

async function reboot(context: Context, hooks: EffectHooks): Promise<Event | null> {
  const { systemctl } = context.tools;
  if (systemctl === null) return { kind: "reboot-failed", detail: "systemd does not run here" };
  await hooks.reportBeforeReboot();
  const ran = await runProgram(context, rebootArgv(systemctl), { timeoutMs: REBOOT_MS });
  const said = ran.stderr.trim() || `systemctl ended with ${ran.code}`;
  return ran.code === 0 ? null : { kind: "reboot-failed", detail: said };
}

/** Points the GC roots at what is needed and forgets stored releases that are not. Failing to is no reason to stop. */
async function tidy(context: Context, { state, memory }: Situation): Promise<void> {
  const { system, paths, config } = context;
  try {
    const { running } = await lookAround(context);
    await makeDirectoryDurably(system.files, config.gcRootsDir, 0o755);
    await root(context, paths.rootCurrent, running);
    await root(context, paths.rootPrevious, memory.previous);
    // What was fetched of an attempt that is tried again stays.
    const again = memory.last?.result === "failed_before_activation";
    if (state.kind === "idle" && !again) await root(context, paths.rootNext, null);
    const floor = memory.floors[floorKey(config)];
    const kept = [floor?.digest, memory.confirmed?.digest, state.kind === "idle" ? undefined : state.target.digest];
    await forgetReleases(context, new Set(kept.filter((digest) => digest !== undefined)));
  } catch (error) {
    system.log("warn", "could not tidy up", { detail: messageOf(error) });
  }
}

async function root({ system }: Context, path: string, storePath: string | null): Promise<void> {
  if (storePath === null) await system.files.remove(path);
  else await linkDurably(system.files, { target: storePath, path });
}
