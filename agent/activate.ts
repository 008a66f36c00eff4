/**
 * Activating and going back: the profile, `switch-to-configuration`, and a look at what came of it.
 * @module
 */
import { messageOf } from "@nix-ota/common";
import { directoryOf, linkDurably } from "./atomic_file.ts";
import { checkContents } from "./closure_check.ts";
import { type Context, nixCall, runProgram } from "./context.ts";
import { lookAround } from "./device.ts";
import type { Event, Failure } from "./events.ts";
import { allowedSubstituters, setProfileArgv } from "./nix.ts";
import { classifyNixError } from "./nix_errors.ts";
import { physicalPath } from "./paths.ts";
import { type Accepted, RefusedReleaseError } from "./releases.ts";
import { rootClosure, syncStore } from "./stage.ts";
import { StageError } from "./stage_error.ts";
import type { Action, Deployment, Return } from "./state.ts";
import { activationLogOf, awaitSwitch, clearSwitchJob, findSwitchJob, killSwitch, runSwitch } from "./switch_job.ts";
import { lastLineOf } from "./log_tail.ts";

/** Longest time to set a profile. */
const PROFILE_MS = 60_000;
/** Pause before a further attempt at the way back: a disk or a bus that recovers needs a moment. */
const RETRY_MS = 2_000;
/** Largest file of switch inhibitors that is read. */
const INHIBITORS_MAX_BYTES = 256 * 1024;

/** Checks the closure once more and looks at the device, just before it is touched. */
export async function prepareActivation(
  context: Context,
  target: Deployment,
  { accepted, checkedBefore }: { accepted: () => Promise<Accepted>; checkedBefore: boolean },
): Promise<Event> {
  try {
    // Verified again: the release may have expired, or the keys may have changed since it was staged.
    const { verified } = await accepted();
    if (!checkedBefore) {
      await rootClosure(context, target.storePath);
      await checkContents(
        context,
        target.storePath,
        allowedSubstituters(context.config, verified.release.substituters),
      );
      await syncStore(context);
    }
  } catch (error) {
    return { kind: "prepare-failed", failure: failureOf(error) };
  }
  await killSwitch(context); // Of an attempt that was cut off.
  await clearSwitchJob(context);
  await context.system.files.remove(context.paths.activationLog);
  const look = await lookAround(context);
  const prev = look.running === null || look.running === target.storePath ? look.profile : look.running;
  const action = await actionOf(context, target, look.running);
  return { kind: "prepared", prev, action, bootId: look.bootId };
}

function failureOf(error: unknown): Failure {
  if (error instanceof StageError) return error.failure;
  if (error instanceof RefusedReleaseError) return { reason: error.code, detail: error.message };
  return { reason: "interrupted", detail: messageOf(error) };
}

/** Now or at the next boot: `auto` switches unless NixOS itself would refuse to. */
async function actionOf(
  { config, system }: Context,
  { mode, storePath }: Deployment,
  running: string | null,
): Promise<Action> {
  if (mode === "boot" || mode === "reboot") return "boot";
  if (mode === "switch" || running === null) return "switch";
  const [now, then] = await Promise.all([running, storePath].map(async (path) => {
    const file = `${physicalPath(config, path)}/switch-inhibitors`;
    const content = await system.files.read(file, INHIBITORS_MAX_BYTES).catch(() => null);
    return content === null ? "{}" : new TextDecoder().decode(content);
  }));
  return differingInhibitors(now ?? "{}", then ?? "{}").length > 0 ? "boot" : "switch";
}

/** What forbids a live switch between two systems: keys of both `switch-inhibitors` whose values differ (nixpkgs#473282). */
export function differingInhibitors(now: string, then: string): readonly string[] {
  const [a, b] = [now, then].map((text): Record<string, unknown> => {
    try {
      const value: unknown = JSON.parse(text);
      return typeof value === "object" && value !== null ? { ...value } : {};
    } catch {
      return {};
    }
  });
  return Object.keys(a ?? {}).filter((key) =>
    Object.hasOwn(b ?? {}, key) && JSON.stringify(a?.[key]) !== JSON.stringify(b?.[key])
  ).sort();
}

/** Makes the target the profile and activates it; judged by the machine. */
export async function applyTarget(
  context: Context,
  { target, prev, action }: { target: Deployment; prev: string | null; action: Action },
): Promise<Event> {
  // The way back stays in the store whatever happens to older generations.
  if (prev !== null) await linkDurably(context.system.files, { target: prev, path: context.paths.rootPrevious });
  const problem = await setProfile(context, target.storePath);
  if (problem !== null) {
    return { kind: "applied", end: { kind: "profile-failed" }, look: await lookAround(context), detail: problem };
  }
  const end = await runSwitch(context, { storePath: target.storePath, action });
  return { kind: "applied", end, look: await lookAround(context), detail: await lastWords(context) };
}

/** Waits for an activation that outlived the agent; judged by the machine. */
export async function awaitTarget(context: Context): Promise<Event> {
  const deadlineMs = context.system.monotonicMs() + context.config.switchTimeoutSeconds * 1000;
  const end = await awaitSwitch(context, deadlineMs);
  return { kind: "applied", end, look: await lookAround(context), detail: await lastWords(context) };
}

/** Makes the previous system the profile and activates it; the machine looks whether it worked. */
export async function revertTo(context: Context, { prev, how, attempt }: {
  prev: string;
  how: Return;
  attempt: number;
}): Promise<Event> {
  if (attempt > 1) await context.system.sleep(RETRY_MS, context.stop);
  // An activation of the target that still runs would undo all this.
  if ((await findSwitchJob(context)).kind === "running") await killSwitch(context);
  const problem = await setProfile(context, prev);
  if (how === "profile") return { kind: "reverted", look: await lookAround(context), detail: problem };
  // Also where the profile could not be set: better to run the previous system than to be half way.
  const end = await runSwitch(context, { storePath: prev, action: how });
  const said = end.kind === "exited" ? `switch-to-configuration ended with ${end.code}` : `it ${end.kind}`;
  const detail = problem ?? `${said}: ${await lastWords(context) ?? "it said nothing"}`;
  return { kind: "reverted", look: await lookAround(context), detail };
}

/** Points the profile at a system, durably. Answers with what went wrong, or null. */
async function setProfile(context: Context, storePath: string): Promise<string | null> {
  const { config, system } = context;
  try {
    // A generation more for what is the profile already would only make the list longer.
    if ((await lookAround(context)).profile !== storePath) {
      const ran = await runProgram(context, setProfileArgv(nixCall(context), config.profile, storePath), {
        timeoutMs: PROFILE_MS,
      });
      if (ran.code !== 0) return classifyNixError([ran.stderr]).line;
    }
    await system.files.sync(directoryOf(config.profile));
  } catch (error) {
    return messageOf(error);
  }
  const { profile } = await lookAround(context);
  return profile === storePath ? null : `the profile is ${profile ?? "nothing"} after it was set to ${storePath}`;
}

async function lastWords(context: Context): Promise<string | null> {
  return lastLineOf(await activationLogOf(context));
}
