/**
 * The health check: a command of the operator's that says whether the new system does its work.
 * @module
 */
import { cleanText, encodeUtf8, redact, tailOf } from "@nix-ota/common";
import { type Context, runProgram } from "./context.ts";
import { lookAround } from "./device.ts";
import type { Event } from "./events.ts";
import type { Deployment } from "./state.ts";
import type { Ran } from "./system.ts";
import { lastLineOf } from "./log_tail.ts";

/** Pause between two runs of the check. */
const PAUSE_MS = 2_000;
/** How much of a check's output is kept. */
const OUTPUT_MAX_BYTES = 16 * 1024;

/** Runs the check until it passes or the release's time for it is up. */
export async function probeHealth(context: Context, target: Deployment, signal: AbortSignal): Promise<Event> {
  const { config, system, tools } = context;
  const { healthCmd } = config;
  if (healthCmd === null) return { kind: "healthy", look: await lookAround(context) };
  const deadlineMs = system.monotonicMs() + target.healthSeconds * 1000;
  let last: Ran | null = null;
  for (let leftMs = target.healthSeconds * 1000; leftMs > 0; leftMs = deadlineMs - system.monotonicMs()) {
    const ran = await runProgram(context, [tools.sh, "-c", healthCmd], { timeoutMs: leftMs, signal });
    if (ran.code === 0 && ran.killed === null) return { kind: "healthy", look: await lookAround(context) };
    // Only a person interrupts a health check.
    if (signal.aborted) return { kind: "rollback-requested", look: await lookAround(context) };
    last = ran;
    if (deadlineMs - system.monotonicMs() <= PAUSE_MS) break; // No time for one more run.
    await system.sleep(PAUSE_MS, signal);
  }
  return await unhealthy(context, last);
}

async function unhealthy(context: Context, last: Ran | null): Promise<Event> {
  const { system, paths } = context;
  const output = last === null ? "" : cleanText(`${last.stdout}\n${last.stderr}`);
  const said = tailOf(redact(output), OUTPUT_MAX_BYTES).trim();
  await system.files.append(paths.activationLog, encodeUtf8(`$ health check\n${said}\n`), 0o600);
  const timedOut = last === null || last.killed !== null;
  const reason = timedOut ? "health_timeout" : `health_failed:exit ${last.code}`;
  return { kind: "unhealthy", failure: { reason, detail: lastLineOf(output) }, look: await lookAround(context) };
}
