/**
 * What every command is given.
 * @module
 */
import { CliError, EXIT, interrupted, usageError } from "./errors.ts";
import type { Ui } from "./ui/ui.ts";

/** The world of a command; nothing else in a command looks at the process. */
export interface Context {
  readonly ui: Ui;
  readonly env: (name: string) => string | undefined;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
  readonly random: () => number;
}

/** Ends the command where Ctrl-C was pressed. */
export function checkInterrupted(context: Pick<Context, "signal">, doing: string): void {
  if (context.signal.aborted) throw interrupted(doing);
}

/** Options and arguments as they were typed; each command's own parser makes values of them. */
export interface Raw {
  readonly args: readonly string[];
  /** Value of an option such as `server`, or undefined. */
  text(name: string): string | undefined;
  /** Values of an option that may be repeated. */
  list(name: string): readonly string[];
  /** Whether a flag was given. */
  flag(name: string): boolean;
}

/** One option of a command. */
export interface OptionSpec {
  /** As in the help: `--channel <name>` or `--dry-run`. */
  readonly flags: string;
  readonly about: string;
  /** May be given more than once. */
  readonly repeat?: boolean;
  /** Heading in the help; "Options" unless told. */
  readonly group?: string;
}

/** Puts options under one heading of the help. */
export function grouped(group: string, options: readonly OptionSpec[]): readonly OptionSpec[] {
  return options.map((option) => ({ ...option, group }));
}

/** A command: what the help says of it, and what it does. */
export interface CommandSpec {
  /** Such as `publish`, or `devices accept`. */
  readonly name: string;
  readonly summary: string;
  /** Such as `<file>`, in order. */
  readonly args?: readonly { readonly name: string; readonly about: string }[];
  readonly options: readonly OptionSpec[];
  readonly examples: readonly { readonly about: string; readonly command: string }[];
  /** More for the help, one paragraph each. */
  readonly notes?: readonly string[];
  readonly run: (raw: Raw, context: Context) => Promise<number>;
}

/**
 * The value of an option, parsed; the parser's own sentence names the option.
 * @throws {CliError} With exit code 2.
 */
export function parseOption<T>(flag: string, value: string, parse: (value: string, at: string) => T): T {
  try {
    return parse(value, flag);
  } catch (error) {
    if (error instanceof CliError) throw error;
    const message = error instanceof Error ? error.message : String(error);
    throw usageError(message.startsWith(flag) ? message : `${flag}: ${message}`, error);
  }
}

/** The error for an option that is missing. `wanted` completes "wanted …"; `example` is a value. */
export function missingOption(flag: string, wanted: string, example: string): CliError {
  return usageError(`${flag} is missing: wanted ${wanted} (such as ${flag} ${example})`);
}

/** A whole number within bounds, written in decimal digits only. */
export function wholeNumber(min: number, max: number): (value: string, at: string) => number {
  return (value, at) => {
    const number = /^\d{1,16}$/.test(value) ? Number(value) : NaN;
    if (Number.isSafeInteger(number) && number >= min && number <= max) return number;
    throw new CliError(EXIT.usage, `${at} must be a whole number from ${min} to ${max}, found ${quoted(value)}`, {
      code: "usage",
    });
  };
}

/** Text from the command line in quotes, cut, for an error. */
export function quoted(value: string): string {
  return JSON.stringify(value.length > 60 ? `${value.slice(0, 60).toWellFormed()}…` : value);
}
