/** Whoever has stolen the key of the cache, but not that of the releases, changes nothing on a device. On real Nix. */

import assert from "node:assert/strict";
import type { CacheServer } from "../rig/cache_server.ts";
import { outputOf } from "../../tools/run_command.ts";
import { forge, type Forgery } from "./cache_thief.ts";
import { depotOfFile } from "./depot.ts";
import { Scene } from "./scene.ts";
import { sideBySide } from "./side_by_side.ts";

const depot = depotOfFile({ factory: { generation: 1 }, update: { generation: 2 }, other: { generation: 3 } });

/** Paths of the update that the factory's system does not have, less one that a forgery may leave out. */
const OWN_PATHS = 9;

/** A forgery, by what is changed. */
type Row = { what: string; forged: () => Forgery };

const top = (): string => depot().systems.update.storePath;
const updates = (name: string): string => pathOf("update", name);

const ROWS: readonly Row[] = [
  {
    what: "the switch script itself, at the same size",
    forged: () => ({ path: top(), change: "sed -i s/updating/UPDATING/ bin/switch-to-configuration" }),
  },
  {
    what: "the switch script itself, with a line more",
    forged: () => ({ path: top(), change: "sed -i '2i echo > /rig/taken-over' bin/switch-to-configuration" }),
  },
  {
    what: "a program that the health check is, with a line more",
    forged: () => ({ path: updates("health-check"), change: "sed -i '2i echo > /rig/taken-over' bin/health-check" }),
  },
  {
    what: "a byte of a dependency, at the same size",
    forged: () => ({ path: updates("app-1.2"), change: "printf X | dd of=share/data bs=1 conv=notrunc" }),
  },
  {
    what: "a dependency, at another size",
    forged: () => ({ path: updates("app-1.2"), change: "printf X >> share/data" }),
  },
  {
    what: "a program that becomes executable",
    forged: () => ({ path: updates("app-1.2"), change: "chmod +x share/data" }),
  },
  {
    what: "the closure, which gets a path more",
    forged: () => ({
      path: updates("app-1.2"),
      references: (references) => [...references, baseName(pathOf("other", "app-1.3"))],
    }),
  },
  {
    what: "the closure, which loses a path",
    forged: () => ({
      path: updates("system-path"),
      references: (references) => references.filter((name) => !name.endsWith("-health-check")),
    }),
  },
];

Deno.test("nothing that a stolen cache key signs is activated: closure_mismatch", async (t) => {
  await sideBySide(t, ROWS.map(({ what, forged }) => ({ name: what, run: () => play(forged()) })));
});

async function play(forgery: Forgery): Promise<void> {
  const { ci, cacheKey } = depot();
  const cacheDir = await copyOfCache();
  await forge({ ci, cacheDir, cacheKey }, forgery);
  await using scene = await Scene.open(depot(), { factory: "factory", cacheDir });
  await scene.startAgent();
  const { revision } = await scene.publish("update");
  const { result, reason, detail } = await scene.ended(revision);
  assert.deepEqual([result, reason], ["failed_before_activation", "closure_mismatch"], `${detail}`);
  assert.equal(wasFetched(scene), true, "Nix itself took what was forged");
  assert.deepEqual(await scene.sight(), scene.sightOf("factory"));
  assert.deepEqual((await scene.device.switchLog()).map(({ action }) => action), ["boot", "init"]);
  assert.equal(await scene.device.readText("/rig/taken-over"), undefined);
  await outputOf(["cp", "-r", `${depot().cacheDir}/.`, cacheDir]);
  await scene.converged("update");
  assert.equal(await scene.isWhole("update"), true);
  assert.equal(await scene.device.readText("/rig/taken-over"), undefined);
}

/** Whether the device has fetched archives, as far as to the system itself, which comes last. */
function wasFetched({ cache }: { cache: CacheServer }): boolean {
  return cache.requests.filter(({ path, status }) => path.startsWith("nar/") && status === 200).length >= OWN_PATHS;
}

async function copyOfCache(): Promise<string> {
  const cacheDir = await Deno.makeTempDir({ dir: depot().folder });
  await outputOf(["cp", "-r", `${depot().cacheDir}/.`, cacheDir]);
  return cacheDir;
}

/** The path with this name in the closure of a system. */
function pathOf(system: "update" | "other", name: string): string {
  const found = depot().systems[system].paths.find((path) => baseName(path).slice(33) === name);
  if (found === undefined) throw new Error(`Cannot find "${name}" in the system "${system}"`);
  return found;
}

function baseName(path: string): string {
  return path.slice("/nix/store/".length);
}
