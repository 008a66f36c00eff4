/**
 * Running a batch of jobs in one transaction, so that one fsync serves them all.
 * @module
 */
import { messageOf } from "@nix-ota/common";
import { prepareCheckin } from "./checkin_job.ts";
import { type Database, inTransaction } from "./database.ts";
import { prepareEnrol } from "./enrol_job.ts";
import type { Job, Outcome } from "./jobs.ts";
import { prepareLog } from "./log_job.ts";
import { preparePublish } from "./publish_job.ts";
import { prepareClaim, prepareDecide, prepareListing, prepareProbe, preparePrune } from "./small_jobs.ts";

/** What came of a job: its outcome, or the fault that kept it from having one. */
export type Result = { readonly kind: "done"; readonly outcome: Outcome } | {
  readonly kind: "failed";
  readonly message: string;
};

/** Runs jobs in their order; the results are on the disk when it returns. */
export type RunBatch = (jobs: readonly Job[]) => readonly Result[];

/**
 * Makes the function that runs a batch. A job that throws takes nothing with it but itself: the batch is rolled back
 * and run again, each job in a savepoint. Where the commit fails, every job of the batch has failed.
 */
export function prepareBatch(db: Database): RunBatch {
  const run = prepareJobs(db);
  return (jobs) => {
    try {
      return inTransaction(db, () => jobs.map((job) => ({ kind: "done", outcome: run(job) })));
    } catch {
      // Which job it was, the second run tells.
    }
    try {
      return inTransaction(db, () => jobs.map((job) => runGuarded(db, () => run(job))));
    } catch (error) {
      return jobs.map(() => ({ kind: "failed", message: messageOf(error) }));
    }
  };
}

function runGuarded(db: Database, work: () => Outcome): Result {
  db.exec("SAVEPOINT job");
  try {
    const outcome = work();
    db.exec("RELEASE job");
    return { kind: "done", outcome };
  } catch (error) {
    // A full disk may have ended the transaction already: then the commit fails, and with it all.
    if (db.isTransaction) db.exec("ROLLBACK TO job; RELEASE job");
    return { kind: "failed", message: messageOf(error) };
  }
}

function prepareJobs(db: Database): (job: Job) => Outcome {
  const enrol = prepareEnrol(db);
  const checkin = prepareCheckin(db);
  const log = prepareLog(db);
  const publish = preparePublish(db);
  const listing = prepareListing(db);
  const decide = prepareDecide(db);
  const prune = preparePrune(db);
  const claim = prepareClaim(db);
  const probe = prepareProbe(db);
  return (job) => {
    switch (job.kind) {
      case "enrol":
        return enrol(job);
      case "checkin":
        return checkin(job);
      case "log":
        return log(job);
      case "publish":
        return publish(job);
      case "listing":
        return listing(job);
      case "decide":
        return decide(job);
      case "claim":
        return claim(job);
      case "probe":
        return probe(job);
      case "prune":
        return prune(job);
    }
  };
}
