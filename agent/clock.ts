/**
 * What the device knows of the time (protocol 2.4).
 * @module
 */
import { messageOf, type TrustClock } from "@nix-ota/common";
import { type Context, runProgram } from "./context.ts";
import { clockArgv, parseClockSynced } from "./systemd.ts";
import { AGENT_BUILT_MS } from "./version.ts";

/** How long the system's word on its clock is believed. */
const BELIEVED_MS = 60_000;
/** Longest time to ask for it. */
const ASK_MS = 5_000;
/** systemd-timesyncd makes it when it has set the clock. */
const TIMESYNC_MARK = "/run/systemd/timesync/synchronized";

/** Makes the clock of a device; `floorMs` is the latest time that verified documents prove. */
export function createTrustClock(context: Context, floorMs: () => number): () => Promise<TrustClock> {
  const { system } = context;
  let seen: { readonly atMs: number; readonly synchronised: boolean } | null = null;
  return async () => {
    const nowMs = system.monotonicMs();
    if (seen === null || nowMs - seen.atMs > BELIEVED_MS) {
      seen = { atMs: nowMs, synchronised: await isClockSet(context) };
    }
    return {
      systemMs: system.now(),
      synchronised: seen.synchronised,
      floorMs: Math.max(AGENT_BUILT_MS, floorMs()),
    };
  };
}

async function isClockSet(context: Context): Promise<boolean> {
  const { system, tools } = context;
  if (await system.files.stat(TIMESYNC_MARK) !== null) return true;
  if (tools.systemctl === null) return true; // Nobody says that it is not.
  const timedatectl = tools.systemctl.replace(/systemctl$/, "timedatectl");
  try {
    const ran = await runProgram(context, clockArgv(timedatectl), { timeoutMs: ASK_MS });
    return ran.code !== 0 || parseClockSynced(ran.stdout);
  } catch (error) {
    system.log("warn", "cannot tell whether the clock is set", { detail: messageOf(error) });
    return true;
  }
}
