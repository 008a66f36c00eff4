/**
 * The command line: what was asked for, or the sentence that says what was wrong with it.
 * @module
 */
import { DEFAULT_CONFIG_PATH } from "./config.ts";

/** What the agent can be asked to do. */
export const COMMANDS = ["run", "once", "status", "rollback", "retry", "check-now"] as const;
/** One of {@link COMMANDS}. */
export type CommandName = typeof COMMANDS[number];

/** A command line that was understood. */
export type Invocation =
  | { readonly kind: "command"; readonly command: CommandName; readonly configPath: string; readonly json: boolean }
  | { readonly kind: "check-config"; readonly configPath: string }
  | { readonly kind: "version" }
  | { readonly kind: "help" };

/** A command line that was not. */
export class UsageError extends Error {
  override readonly name: string = "UsageError";
}

/** Exit codes; those from 64 on are of sysexits.h. */
export const EXIT = {
  ok: 0,
  failed: 1,
  config: 2,
  waiting: 3,
  unreachable: 4,
  usage: 64,
  locked: 75,
} as const;

/** What `--help` prints. */
export const HELP = `nix-ota-agent: keeps this device on the system that its fleet's keys signed

Usage: nix-ota-agent [--config FILE] COMMAND

  run             stay, and take up releases as they come
  once            check in, do all that there is to do now, report, end
  status [--json] show what the device runs, does, and last did; works at any time
  rollback        go back to the system that ran before the last release
  retry           forget which releases failed here, so that they are tried again
  check-now       have the running agent check in at once

  --config FILE   configuration (${DEFAULT_CONFIG_PATH})
  --check-config  print the effective configuration, without secrets, and end
  --version       print the version
  --help          print this

Exit codes
  0   done; for "once": the device runs what it is offered
  1   the attempt failed, was refused or was rolled back
  2   the configuration cannot be used
  3   waiting: for an operator, for permission or for a reboot
  4   the server did not answer
  64  the command line cannot be used
  75  another agent is running
`;

/** Reads the command line. @throws {UsageError} With one sentence. */
export function parseCommandLine(args: readonly string[]): Invocation {
  let configPath: string = DEFAULT_CONFIG_PATH;
  let checkConfig = false;
  let json = false;
  const words: string[] = [];
  for (let at = 0; at < args.length; at++) {
    const arg = args[at] ?? "";
    const [flag = "", inline] = arg.startsWith("--config=") ? ["--config", arg.slice("--config=".length)] : [arg];
    switch (flag) {
      case "--help":
      case "-h":
        return { kind: "help" };
      case "--version":
        return { kind: "version" };
      case "--check-config":
        checkConfig = true;
        break;
      case "--json":
        json = true;
        break;
      case "--config": {
        const value = inline ?? args[++at];
        if (value === undefined || value === "" || value.startsWith("--")) {
          throw new UsageError("Cannot use --config without a file (write --config FILE)");
        }
        configPath = value;
        break;
      }
      default:
        if (arg.startsWith("-")) {
          throw unknown("option", arg, ["--config", "--check-config", "--json", "--version", "--help"]);
        }
        words.push(arg);
    }
  }
  return chosen({ words, configPath, checkConfig, json });
}

function chosen({ words, configPath, checkConfig, json }: {
  words: readonly string[];
  configPath: string;
  checkConfig: boolean;
  json: boolean;
}): Invocation {
  const [word, extra] = words;
  if (checkConfig) {
    if (word !== undefined) throw new UsageError(`Cannot use --check-config together with a command, found "${word}"`);
    return { kind: "check-config", configPath };
  }
  if (word === undefined) throw new UsageError(`Cannot do anything without a command: wanted ${COMMANDS.join(", ")}`);
  const command = COMMANDS.find((one) => one === word);
  if (command === undefined) throw unknown("command", word, COMMANDS);
  if (extra !== undefined) throw new UsageError(`Cannot use "${extra}" after "${word}": it takes no arguments`);
  if (json && command !== "status") throw new UsageError(`Cannot use --json with "${word}": only status has it`);
  return { kind: "command", command, configPath, json };
}

function unknown(what: string, word: string, known: readonly string[]): UsageError {
  const shown = JSON.stringify(word.slice(0, 60));
  const near = known.find((one) => distance(one, word) <= 2);
  const hint = near === undefined ? `known: ${known.join(", ")}` : `did you mean "${near}"?`;
  return new UsageError(`Cannot understand the ${what} ${shown}: ${hint}`);
}

/** Levenshtein distance: edits of one character from one word to the other. */
function distance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > 2) return Infinity;
  let previous = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      current[j] = Math.min(substitution, (previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1);
    }
    previous = current;
  }
  return previous[b.length] ?? 0;
}
