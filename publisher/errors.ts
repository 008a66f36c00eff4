/**
 * How the command line ends: exit codes, and errors that carry one.
 * @module
 */
import { type ErrorCode, messageOf } from "@nix-ota/common";

/** Exit codes, a contract with scripts and CI; `nix-ota --help` lists them with {@link EXIT_MEANINGS}. */
export const EXIT = {
  ok: 0,
  unexpected: 1,
  usage: 2,
  refused: 3,
  serverRefused: 4,
  serverUnreachable: 5,
  devicesFailed: 6,
  waitEnded: 7,
  interrupted: 130,
} as const;

/** One of {@link EXIT}. */
export type ExitCode = typeof EXIT[keyof typeof EXIT];

/** What each exit code means, in the words of the help. */
export const EXIT_MEANINGS: readonly (readonly [code: ExitCode, meaning: string])[] = [
  [EXIT.ok, "done; with --wait: every device that answers runs the release"],
  [EXIT.unexpected, "an unexpected failure, such as a full disk or a fault in nix-ota"],
  [EXIT.usage, "wrong options or input: nothing was done"],
  [EXIT.refused, "a check failed before anything was sent: closure, binary cache, current release or signature"],
  [EXIT.serverRefused, "the server refused: token, permission, revision or content"],
  [EXIT.serverUnreachable, "the server cannot be reached, is too slow, fails, or is no nix-ota server"],
  [EXIT.devicesFailed, "published, but a device failed or rolled back (--wait)"],
  [EXIT.waitEnded, "published, but the wait ended first: out of time, or a newer release took over (--wait)"],
  [EXIT.interrupted, "interrupted by Ctrl-C"],
];

/** Codes of our own for `--json`, besides those of the protocol. */
export type CliErrorCode =
  | ErrorCode
  | "unexpected"
  | "usage"
  | "key_unusable"
  | "closure_unusable"
  | "cache_incomplete"
  | "current_untrusted"
  | "server_unreachable"
  | "server_answer_invalid"
  | "interrupted";

/** An error that ends the program with an exit code. The message is one sentence for people and never holds a secret. */
export class CliError extends Error {
  override readonly name: string = "CliError";
  readonly exit: ExitCode;
  readonly code: CliErrorCode;
  /** Lines shown below the sentence, such as the first paths that a cache lacks. */
  readonly details: readonly string[];

  constructor(
    exit: ExitCode,
    message: string,
    { code = "unexpected", details = [], cause }: {
      code?: CliErrorCode;
      details?: readonly string[];
      cause?: unknown;
    } = {},
  ) {
    super(message, cause === undefined ? undefined : { cause });
    this.exit = exit;
    this.code = code;
    this.details = details;
  }
}

/** Wrong options or input. */
export function usageError(message: string, cause?: unknown): CliError {
  return new CliError(EXIT.usage, message, { code: "usage", cause });
}

/** What Ctrl-C leaves: nothing; `doing` completes "Interrupted while …". */
export function interrupted(doing: string): CliError {
  return new CliError(EXIT.interrupted, `Interrupted while ${doing}`, { code: "interrupted" });
}

/** Anything thrown as an error with an exit code; what nobody named is unexpected. */
export function asCliError(error: unknown): CliError {
  if (error instanceof CliError) return error;
  return new CliError(EXIT.unexpected, messageOf(error), { cause: error });
}
