import assert from "node:assert/strict";
import { OtaError } from "@nix-ota/common";
import type { Result } from "./batch.ts";
import { createGroupCommit } from "./group_commit.ts";
import type { Job, ListingJob } from "./jobs.ts";

const job = (digest: string): ListingJob => ({ kind: "listing", digest, listing: "" });
const DONE: Result = { kind: "done", outcome: { kind: "listed", isNew: true } };

/** A writer whose commits end when the test says so. */
function slowWriter(): {
  commit: (jobs: readonly Job[]) => Promise<readonly Result[]>;
  batches: string[][];
  finish: () => Promise<void>;
} {
  const batches: string[][] = [];
  let finishCommit = (): void => {};
  return {
    batches,
    commit: (jobs) => {
      batches.push(jobs.map((one) => one.kind === "listing" ? one.digest : one.kind));
      return new Promise((resolve) => finishCommit = () => resolve(jobs.map(() => DONE)));
    },
    finish: async () => {
      finishCommit();
      await new Promise((resolve) => setTimeout(resolve, 0));
    },
  };
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return "done";
  } catch (error) {
    return error instanceof OtaError ? error.code : String(error);
  }
}

Deno.test("submit() commits a lone job at once, and what comes meanwhile together", async () => {
  const { commit, batches, finish } = slowWriter();
  const queue = createGroupCommit(commit, { batchMax: 3 });
  const all = ["a", "b", "c", "d", "e"].map((digest) => codeOf(queue.submit<"listing">(job(digest))));
  assert.deepEqual(batches, [["a"]]);
  await finish();
  assert.equal(await all[0], "done");
  assert.deepEqual(batches, [["a"], ["b", "c", "d"]]);
  await finish();
  await finish();
  assert.deepEqual(await Promise.all(all), Array(5).fill("done"));
  assert.deepEqual(batches.at(-1), ["e"]);
});

Deno.test("submit() answers only after the commit", async () => {
  const { commit, finish } = slowWriter();
  const queue = createGroupCommit(commit);
  let answered = false;
  const work = queue.submit<"listing">(job("a")).then(() => answered = true);
  await new Promise((resolve) => setTimeout(resolve, 10));
  assert.equal(answered, false);
  await finish();
  await work;
});

Deno.test("submit() refuses where too many wait, with a time to come back", async () => {
  const { commit, finish } = slowWriter();
  const queue = createGroupCommit(commit, { queueMax: 2 });
  const taken = ["a", "b", "c"].map((digest) => codeOf(queue.submit<"listing">(job(digest))));
  await assert.rejects(queue.submit<"listing">(job("d")), (error) => {
    assert.ok(error instanceof OtaError && error.code === "overloaded" && error.extra["retryAfter"] === 5);
    return true;
  });
  await finish();
  await finish();
  assert.deepEqual(await Promise.all(taken), ["done", "done", "done"]);
});

Deno.test("submit() tells each asker its own outcome", async () => {
  const results: readonly Result[] = [
    DONE,
    { kind: "failed", message: "disk full" },
    { kind: "done", outcome: { kind: "refused", code: "not_found", message: "no" } },
  ];
  let commits = 0;
  const queue = createGroupCommit((jobs) => {
    commits += 1;
    return Promise.resolve(commits === 1 ? [DONE] : results.slice(0, jobs.length));
  });
  const all = ["first", "a", "b", "c", "d"].map((digest) => codeOf(queue.submit<"listing">(job(digest))));
  // A result too few is a failure of the one without.
  assert.deepEqual(await Promise.all(all), ["done", "done", "internal", "not_found", "internal"]);
});

Deno.test("submit() fails when the writer is gone, and the next batch is tried all the same", async () => {
  let alive = false;
  const queue = createGroupCommit(() => alive ? Promise.resolve([DONE]) : Promise.reject(new Error("gone")));
  assert.equal(await codeOf(queue.submit<"listing">(job("a"))), "internal");
  alive = true;
  assert.equal(await codeOf(queue.submit<"listing">(job("b"))), "done");
});

Deno.test("drain() finishes what waits and takes no more", async () => {
  const { commit, finish } = slowWriter();
  const queue = createGroupCommit(commit);
  const taken = ["a", "b"].map((digest) => codeOf(queue.submit<"listing">(job(digest))));
  const drained = queue.drain();
  assert.equal(await codeOf(queue.submit<"listing">(job("c"))), "not_ready");
  await finish();
  await finish();
  await drained;
  assert.deepEqual(await Promise.all(taken), ["done", "done"]);
});
