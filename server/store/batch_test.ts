import assert from "node:assert/strict";
import { prepareBatch } from "./batch.ts";
import { type Database, openReadOnly, openWriter } from "./database.ts";
import type { DecideJob, EnrolJob, Job, ListingJob, PruneJob } from "./jobs.ts";
import { openStore } from "./store.ts";

async function withDatabase(work: (db: Database) => void): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "nix-ota-store-" });
  const db = openWriter(`${folder}/test.sqlite`);
  try {
    work(db);
  } finally {
    db.close();
    await Deno.remove(folder, { recursive: true });
  }
}

const listing = (digest: string): ListingJob => ({ kind: "listing", digest, listing: "" });
const enrol = (name: string, change: Partial<EnrolJob> = {}): EnrolJob => ({
  kind: "enrol",
  nowMs: 1000,
  name,
  publicKey: new Uint8Array(32),
  fingerprint: `SHA256:${name}`,
  facts: { channel: "prod", system: "x86_64-linux", variant: "default" },
  hostname: name,
  details: "{}",
  admission: "pending",
  nonce: "n",
  pendingMax: 1000,
  actor: "test",
  ...change,
});
const count = (db: Database, sql: string): number => Number(Object.values(db.prepare(sql).get() ?? {})[0]);

Deno.test("a job that throws takes nothing but itself with it", () =>
  withDatabase((db) => {
    const run = prepareBatch(db);
    const broken = { ...enrol("b"), publicKey: new Uint8Array(31) };
    const jobs: Job[] = [enrol("a"), broken, listing("d"), enrol("c")];
    const kinds = run(jobs).map((result) => result.kind === "done" ? result.outcome.kind : result.kind);
    assert.deepEqual(kinds, ["enrolled", "failed", "listed", "enrolled"]);
    assert.equal(count(db, "SELECT COUNT(*) FROM device"), 2);
    assert.equal(count(db, "SELECT COUNT(*) FROM device_seen"), 2);
    assert.equal(count(db, "SELECT COUNT(*) FROM event"), 2);
    assert.equal(count(db, "SELECT SUM(devices) FROM standing_count"), 2);
  }));

Deno.test("jobs of one batch see each other in their order", () =>
  withDatabase((db) => {
    const run = prepareBatch(db);
    const decide: DecideJob = {
      kind: "decide",
      nowMs: 1,
      name: "a",
      fingerprint: "SHA256:a",
      status: "accepted",
      actor: "t",
    };
    const outcomes = run([decide, enrol("a"), decide, decide]).map((result) =>
      result.kind === "done" ? result.outcome : null
    );
    assert.deepEqual(outcomes.map((one) => one?.kind), ["refused", "enrolled", "decided", "decided"]);
    assert.deepEqual(outcomes.slice(2).map((one) => one?.kind === "decided" && one.changed), [true, false]);
  }));

Deno.test("a full disk fails the batch and leaves the database as it was", () =>
  withDatabase((db) => {
    const run = prepareBatch(db);
    run([enrol("a")]);
    db.exec("PRAGMA max_page_count = 60");
    const big = { ...listing("d"), listing: "x".repeat(1_000_000) };
    assert.deepEqual(run([enrol("b"), big]).map(({ kind }) => kind).at(-1), "failed");
    db.exec("PRAGMA max_page_count = 1000000");
    assert.equal(count(db, "SELECT COUNT(*) FROM closure_listing"), 0);
    assert.equal(Object.values(db.prepare("PRAGMA integrity_check").get() ?? {})[0], "ok");
    assert.deepEqual(run([enrol("c"), big]).map(({ kind }) => kind), ["done", "done"]);
  }));

Deno.test("pruning removes old events and silent strangers, a chunk at a time", () =>
  withDatabase((db) => {
    const run = prepareBatch(db);
    run(Array.from({ length: 600 }, (_, index) => enrol(`d${index}`, { nowMs: 10, pendingMax: 5000 })));
    run([enrol("late", { nowMs: 100 }), enrol("kept", { nowMs: 10, admission: "accepted" })]);
    const prune: PruneJob = { kind: "prune", eventsBeforeMs: 50, pendingBeforeMs: 50 };
    const pruned = [1, 2, 3].map(() => run([prune])[0]);
    assert.deepEqual(pruned.map((result) => result?.kind === "done" && result.outcome), [
      { kind: "pruned", events: 500, devices: 500 },
      { kind: "pruned", events: 101, devices: 100 },
      { kind: "pruned", events: 0, devices: 0 },
    ]);
    assert.deepEqual(db.prepare("SELECT name FROM device ORDER BY name").all().map(({ name }) => name), [
      "kept",
      "late",
    ]);
  }));

Deno.test("a store writes through its worker, and is whole after it is closed", async () => {
  const folder = await Deno.makeTempDir({ prefix: "nix-ota-store-" });
  const path = `${folder}/test.sqlite`;
  const store = await openStore({ path, writer: "worker" });
  await store.claimFleet("default");
  await store.claimFleet("default");
  await assert.rejects(
    store.claimFleet("other"),
    /Cannot serve the fleet "other" as the data directory is that of "default"/,
  );
  const names = Array.from({ length: 100 }, (_, index) => `d${index}`);
  await Promise.all(names.map((name) => store.submit<"enrol">(enrol(name))));
  assert.equal(store.fleetQueries.fleet({ fleet: "default", nowMs: 0 }).devices.pending, 100);
  const late = store.submit<"enrol">(enrol("late"));
  await store.close();
  assert.equal((await late).status, "pending");
  await assert.rejects(store.submit<"enrol">(enrol("later")), /the server is stopping/);
  const db = openReadOnly(path);
  assert.equal(count(db, "SELECT COUNT(*) FROM device"), 101);
  db.close();
  await Deno.remove(folder, { recursive: true });
});

Deno.test("a store says why it cannot be opened", async () => {
  const missing = { path: "/nowhere/test.sqlite", writer: "worker" } as const;
  await assert.rejects(openStore(missing), /unable to open database file/);
});
