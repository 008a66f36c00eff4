/** A device outlives everything that can be wrong with a binary cache, and goes on by itself once it is mended. On real Nix. */

import assert from "node:assert/strict";
import type { Reason } from "@nix-ota/common";
import type { Fault, FaultRule } from "../rig/cache_faults.ts";
import { depotOfFile } from "./depot.ts";
import { Scene } from "./scene.ts";
import { sideBySide } from "./side_by_side.ts";

const depot = depotOfFile({ factory: { generation: 1 }, update: { generation: 2 } });

type FileScene = Scene<"factory" | "update">;

/** What goes wrong, and what comes of it. */
type Row = { what: string; faults: readonly FaultRule[]; comes: Reason | "succeeded"; nixOptions?: string[] };

/** The one nar with the generation's own payload. */
const PAYLOAD = { on: "nar", minBytes: 150_000 } as const;
/** The agent's own limits are for slow radio links: a stall would take a minute and a half. */
const IMPATIENT = ["--option", "stalled-download-timeout", "1", "--option", "download-attempts", "1"];
const status = (code: number): Fault => ({ kind: "status", status: code });

const ROWS: readonly Row[] = [
  { what: "no signature", faults: [{ fault: { kind: "no-signature" }, on: "narinfo" }], comes: "signature_untrusted" },
  {
    what: "a bad signature",
    faults: [{ fault: { kind: "bad-signature" }, on: "narinfo" }],
    comes: "signature_untrusted",
  },
  {
    what: "another NarHash",
    faults: [{ fault: { kind: "wrong-nar-hash" }, on: "narinfo" }],
    comes: "signature_untrusted",
  },
  {
    what: "another NarSize",
    faults: [{ fault: { kind: "wrong-nar-size" }, on: "narinfo" }],
    comes: "signature_untrusted",
  },
  { what: "another FileHash", faults: [{ fault: { kind: "wrong-file-hash" }, on: "narinfo" }], comes: "succeeded" },
  { what: "a corrupted nar", faults: [{ fault: { kind: "corrupted" }, ...PAYLOAD }], comes: "content_corrupt" },
  { what: "a truncated nar", faults: [{ fault: { kind: "truncated" }, ...PAYLOAD }], comes: "content_corrupt" },
  { what: "a connection cut once", faults: [{ fault: { kind: "cut" }, ...PAYLOAD, times: 1 }], comes: "succeeded" },
  { what: "connections cut always", faults: [{ fault: { kind: "cut" }, ...PAYLOAD }], comes: "cache_unreachable" },
  { what: "404 for narinfos", faults: [{ fault: status(404), on: "narinfo" }], comes: "path_missing" },
  { what: "404 for a nar", faults: [{ fault: status(404), ...PAYLOAD }], comes: "path_missing" },
  { what: "401 for all", faults: [{ fault: status(401), on: "all" }], comes: "cache_denied" },
  { what: "401 for a nar", faults: [{ fault: status(401), ...PAYLOAD }], comes: "path_missing" },
  { what: "403 for all", faults: [{ fault: status(403), on: "all" }], comes: "cache_denied" },
  { what: "403 for a nar", faults: [{ fault: status(403), ...PAYLOAD }], comes: "path_missing" },
  { what: "500 always", faults: [{ fault: status(500), on: "all" }], comes: "cache_error" },
  { what: "500 for a nar always", faults: [{ fault: status(500), ...PAYLOAD }], comes: "cache_error" },
  { what: "500 twice", faults: [{ fault: status(500), ...PAYLOAD, times: 2 }], comes: "succeeded" },
  { what: "503 for a nar always", faults: [{ fault: status(503), ...PAYLOAD }], comes: "cache_error" },
  { what: "429 for a nar always", faults: [{ fault: status(429), ...PAYLOAD }], comes: "cache_error" },
  {
    what: "a header that never comes",
    faults: [{ fault: { kind: "stalled-header" }, ...PAYLOAD }],
    comes: "cache_stalled",
    nixOptions: IMPATIENT,
  },
  {
    what: "a body that stalls",
    faults: [{ fault: { kind: "stalled-body" }, ...PAYLOAD }],
    comes: "cache_stalled",
    nixOptions: IMPATIENT,
  },
];

Deno.test("a device outlives whatever a cache does and goes on by itself", async (t) => {
  await sideBySide(
    t,
    ROWS.map((row) => ({ name: `${row.what}: ${row.comes}`, run: () => play(row) })),
  );
});

async function play({ faults, comes, nixOptions = [] }: Row): Promise<void> {
  await using scene = await Scene.open(depot(), { factory: "factory", nixOptions });
  await scene.startAgent();
  scene.cache.setFault(...faults);
  const { revision } = await scene.publish("update");
  const state = await scene.ended(revision);
  if (comes === "succeeded") {
    assert.deepEqual([state.result, state.reason], ["succeeded", null]);
  } else {
    assert.deepEqual([state.result, state.reason], ["failed_before_activation", comes], `${state.detail}`);
    await assertUntouched(scene);
    scene.cache.setFault();
  }
  await assertConverges(scene);
}

/** Nothing changed on the device, and nothing keeps what was fetched in vain. */
async function assertUntouched(scene: FileScene): Promise<void> {
  assert.deepEqual(await scene.sight(), scene.sightOf("factory"));
  assert.equal(await scene.device.generation(), 1);
  const calls = (await scene.device.switchLog()).map(({ action }) => action);
  assert.deepEqual(calls, ["boot", "init"], "only the factory's own");
  // Kept for the next attempt; assertConverges() sees it go.
  const { current, next, ...others } = await scene.roots();
  assert.deepEqual([current, next, others], [scene.sightOf("factory").current, scene.system("update").storePath, {}]);
}

/** The device takes the update up without anybody's help, and keeps it and the way back, and no more. */
async function assertConverges(scene: FileScene): Promise<void> {
  await scene.converged("update");
  assert.deepEqual(await scene.sight(), scene.sightOf("update"));
  const { storePath } = scene.system("update");
  assert.deepEqual(await scene.roots(), { current: storePath, previous: scene.system("factory").storePath });
  assert.equal(await scene.isWhole("update"), true);
}
