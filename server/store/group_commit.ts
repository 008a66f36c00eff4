/**
 * The queue before the writer: one batch in flight, the next one collects meanwhile. No timer: a lone job waits for
 * nobody, and under load batches grow by themselves to what one fsync can serve.
 * @module
 */
import { messageOf, OtaError } from "@nix-ota/common";
import type { Result } from "./batch.ts";
import type { Job, JobKind, OutcomeOf, Refusal, Work } from "./jobs.ts";

/** Jobs in one transaction: 2,000 check-ins hold the writer for about 50 ms. */
const BATCH_MAX = 2000;
/** Jobs that may wait: some two seconds of work. Beyond it devices are told to come back later. */
const QUEUE_MAX = 20_000;
/** What a device that meets a full queue is told to wait, in seconds. */
const RETRY_AFTER_SECONDS = 5;

/** What does the work: results in the order of the jobs, each on the disk. Rejects when it is gone for good. */
export type Commit = (jobs: readonly Job[]) => Promise<readonly Result[]>;

/** Accepts jobs. */
export interface GroupCommit {
  /**
   * Answers once the job's outcome is on the disk.
   * @throws {OtaError} `overloaded` where too many wait, `not_ready` after {@link drain}, `internal` where it failed,
   *   and the refusal of the job itself.
   */
  submit<K extends JobKind>(job: Work[K]["job"]): Promise<Exclude<OutcomeOf<K>, Refusal>>;
  /** Takes no more jobs and answers when those it has are done. */
  drain(): Promise<void>;
}

interface Waiting {
  readonly job: Job;
  readonly settle: (result: Result) => void;
}

/** Makes the queue. The limits are for tests. */
export function createGroupCommit(
  commit: Commit,
  { queueMax = QUEUE_MAX, batchMax = BATCH_MAX }: { queueMax?: number; batchMax?: number } = {},
): GroupCommit {
  let waiting: Waiting[] = [];
  let running: Promise<void> | null = null;
  let draining = false;

  async function work(): Promise<void> {
    while (waiting.length > 0) {
      const batch = waiting.slice(0, batchMax);
      waiting = waiting.slice(batchMax);
      const results = await runBatch(commit, batch.map(({ job }) => job));
      batch.forEach(({ settle }, index) => settle(results[index] ?? { kind: "failed", message: "no answer" }));
    }
    running = null;
  }

  function submit<K extends JobKind>(job: Work[K]["job"]): Promise<Exclude<OutcomeOf<K>, Refusal>> {
    return new Promise((resolve, reject) => {
      if (draining) return reject(new OtaError("not_ready", "Cannot take the request as the server is stopping"));
      if (waiting.length >= queueMax) return reject(overloaded(waiting.length));
      const settle = (result: Result): void => {
        if (result.kind === "failed") {
          return reject(new OtaError("internal", `Cannot keep the request: ${result.message}`));
        }
        const { outcome } = result;
        if (outcome.kind === "refused") return reject(fromRefusal(outcome));
        // The writer answers each kind of job with that kind's outcome.
        resolve(outcome as Exclude<OutcomeOf<K>, Refusal>);
      };
      waiting.push({ job, settle });
      running ??= work();
    });
  }

  async function drain(): Promise<void> {
    draining = true;
    await running;
  }

  return { submit, drain };
}

async function runBatch(commit: Commit, jobs: readonly Job[]): Promise<readonly Result[]> {
  try {
    return await commit(jobs);
  } catch (error) {
    return jobs.map(() => ({ kind: "failed", message: messageOf(error) }));
  }
}

function overloaded(waiting: number): OtaError {
  return new OtaError("overloaded", `Cannot take the request as ${waiting} others wait to be written`, {
    extra: { retryAfter: RETRY_AFTER_SECONDS },
  });
}

function fromRefusal({ code, message, extra }: Refusal): OtaError {
  return new OtaError(code, message, { extra: { ...extra } });
}
