/**
 * Why a closure could not be staged.
 * @module
 */
import type { Reason } from "@nix-ota/common";
import type { Failure } from "./events.ts";
import { classifyNixError } from "./nix_errors.ts";
import type { Ran } from "./system.ts";

/** Why a closure could not be staged. `remember`: the release itself is wrong, so that trying it again is of no use. */
export class StageError extends Error {
  override readonly name: string = "StageError";
  readonly failure: Failure;
  readonly remember: boolean;

  constructor(reason: Reason, detail: string, { remember = false }: { remember?: boolean } = {}) {
    super(detail);
    this.failure = { reason, detail };
    this.remember = remember;
  }
}

/** What a call of Nix that failed means. `onTimeout` is the reason where it did not end in time. */
export function nixFailure(ran: Ran, messages: readonly string[], onTimeout: Reason): StageError {
  if (ran.killed === "timeout") return new StageError(onTimeout, "Nix did not end in time");
  if (ran.killed === "signal") return new StageError("interrupted", "the fetch was stopped");
  const { reason, line } = classifyNixError(messages);
  return new StageError(reason, line);
}
