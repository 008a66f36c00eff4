/**
 * Opens a state directory: reads what an earlier life of the agent left there and puts the agent together.
 * @module
 */
import { Agent, type AgentView } from "./agent.ts";
import { makeDirectoryDurably } from "./atomic_file.ts";
import type { Context } from "./context.ts";
import type { Identity } from "./device_key.ts";
import { type Journal, openJournal, readJournal, setBrokenAside } from "./journal.ts";
import { highestStored, issuedMsOf } from "./releases.ts";
import { openChain } from "./sequence.ts";
import { floorKey, type Situation } from "./state.ts";

/** Puts the agent of a state directory together. Only one may at a time: the caller holds the lock. */
export async function openAgent(
  context: Context,
  identity: Identity,
  onView: (view: AgentView) => void,
  journal: Journal = openJournal(context.system.files, context.config.stateDir),
): Promise<Agent> {
  const { config, paths, system } = context;
  for (const directory of [config.stateDir, paths.releasesDir, paths.requests, paths.home]) {
    await makeDirectoryDurably(system.files, directory, 0o700);
    // Whoever made it before may have left it open to others; the device's key is in it.
    if (((await system.files.stat(directory))?.mode ?? 0) & 0o077) await system.files.setMode(directory, 0o700);
  }
  const [chain, situation] = [await openChain(context), await openSituation(context)];
  return new Agent({ context, identity, chain, journal, situation, onView });
}

/** Reads the journal; where a copy cannot be read, says so, keeps it aside and saves what can be saved. */
export async function openSituation(context: Context): Promise<Situation> {
  const { system, config } = context;
  const found = await readJournal(system.files, { stateDir: config.stateDir, nowMs: system.now() });
  if (found.kind === "read" || found.kind === "first-start") return found.situation;
  system.log("error", found.kind === "lost" ? "the journal is lost" : "the newest journal cannot be read", {
    detail: found.problem,
  });
  await setBrokenAside(system.files, config.stateDir);
  return await restoreFloor(context, found.situation);
}

/** An older journal may know a lower floor than was acted on; the stored releases prove the higher one. */
async function restoreFloor(context: Context, situation: Situation): Promise<Situation> {
  const stored = await highestStored(context);
  if (stored === null) return situation;
  const key = floorKey(context.config);
  const { floors, timeFloorMs } = situation.memory;
  const floor = floors[key];
  const { revision } = stored.release;
  if (floor !== undefined && floor.revision >= revision) return situation;
  return {
    ...situation,
    memory: {
      ...situation.memory,
      floors: { ...floors, [key]: { revision, digest: stored.digest } },
      timeFloorMs: Math.max(timeFloorMs, issuedMsOf(stored)),
    },
  };
}
