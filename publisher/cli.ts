/**
 * From words on the command line to a command's run: help, suggestions, exit codes.
 * @module
 */
import { Command, CommanderError, Option } from "commander";
import { cleanText } from "@nix-ota/common";
import { COMMANDS } from "./commands/mod.ts";
import type { CommandSpec, Context, OptionSpec, Raw } from "./context.ts";
import { asCliError, CliError, EXIT, EXIT_MEANINGS, usageError } from "./errors.ts";
import { createStyle } from "./ui/style.ts";
import { createUi, type Streams, type Ui, wrap } from "./ui/ui.ts";
import { VERSION } from "./version.ts";

/** The world of the command line; one for a process, another for a test. */
export type World = Omit<Context, "ui"> & { readonly streams: Streams };

const JSON_OPTION: OptionSpec = {
  flags: "--json",
  about: "print one JSON document on stdout; steps and errors stay on stderr",
};

/** Runs a command line (without the program's own name) and answers with the exit code; it does not throw. */
export async function runCli(argv: readonly string[], world: World): Promise<number> {
  // Errors of the command line itself are told before its options are known.
  let ui = createUi(world.streams, argv.includes("--json"));
  try {
    let code: number = EXIT.ok;
    const program = createProgram(world.streams, async (spec, raw) => {
      ui = createUi(world.streams, raw.flag("json"));
      code = await spec.run(raw, { ...world, ui });
    });
    if (argv.length === 0) {
      world.streams.err(program.helpInformation());
      return EXIT.usage;
    }
    await program.parseAsync([...argv], { from: "user" });
    return code;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return EXIT.ok; // Help or version, already printed.
    const failure = error instanceof CommanderError ? fromCommander(error, argv) : asCliError(error);
    tell(ui, world.streams, failure);
    return failure.exit;
  }
}

function tell(ui: Ui, { err, errTerminal }: Streams, { message, details, code, exit }: CliError): void {
  const { red, bold } = createStyle(errTerminal.colours);
  err(`${red(bold("nix-ota:"))} ${cleanText(message)}\n`);
  for (const line of details) err(`  ${cleanText(line)}\n`);
  ui.data({ error: { code, exit, message, details } });
}

/** The whole command line as commander knows it. */
export function createProgram(streams: Streams, run: (spec: CommandSpec, raw: Raw) => Promise<void>): Command {
  const program = base(new Command("nix-ota"), streams)
    .description("Signs and publishes NixOS systems to a fleet of devices, and shows how they are doing.")
    .version(VERSION, "-V, --version", "print the version")
    .helpCommand("help [command]", "show the help of a command")
    .addHelpText("after", generalHelp());
  const groups = new Map<string, Command>();
  for (const spec of COMMANDS) {
    const [group, name] = spec.name.split(" ");
    const parent = name === undefined ? program : groups.get(group ?? "") ?? program;
    const command = addCommand(parent, { spec, name: name ?? spec.name, streams, run });
    groups.set(spec.name, command);
  }
  return program;
}

function base(command: Command, streams: Streams): Command {
  const { out, err } = streams;
  return command
    .exitOverride()
    .configureOutput({
      writeOut: out,
      writeErr: err,
      outputError: () => undefined,
      getOutHelpWidth: () => helpWidth(streams),
      getErrHelpWidth: () => helpWidth(streams),
    })
    .helpOption("-h, --help", "show this help")
    .configureHelp({ showGlobalOptions: false, sortOptions: false });
}

/** Lines longer than this are hard to read, however wide the terminal is. */
const HELP_COLUMNS_MAX = 100;

function helpWidth({ outTerminal }: Streams): number {
  return Math.min(HELP_COLUMNS_MAX, outTerminal.width);
}

function addCommand(
  parent: Command,
  { spec, name, streams, run }: {
    spec: CommandSpec;
    name: string;
    streams: Streams;
    run: (spec: CommandSpec, raw: Raw) => Promise<void>;
  },
): Command {
  const command = base(parent.command(name), streams).summary(spec.summary).description(sentence(spec.summary));
  for (const argument of spec.args ?? []) command.argument(argument.name, argument.about);
  for (const option of [...spec.options, JSON_OPTION]) command.addOption(toOption(option));
  command.addHelpText("after", helpAfter(spec, helpWidth(streams)));
  return command.action(() => run(spec, toRaw(command)));
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

/** An option that may be given once, or be repeated; a value is never another option that follows by mistake. */
function toOption({ flags, about, repeat, group }: OptionSpec): Option {
  const option = new Option(flags, about);
  if (group !== undefined) option.helpGroup(`${group}:`);
  const [flag = ""] = flags.split(" ");
  if (!flags.includes("<")) return option;
  return option.argParser((value: string, previous: unknown) => {
    if (/^--[a-z]/.test(value)) throw usageError(`${flag} needs a value, found the option ${value.split("=")[0]}`);
    if (repeat === true) return [...(Array.isArray(previous) ? previous : []), value];
    if (previous !== undefined) throw usageError(`${flag} is given twice: wanted once`);
    return value;
  });
}

function toRaw(command: Command): Raw {
  const values: Record<string, unknown> = command.optsWithGlobals();
  return {
    args: command.args,
    text: (name) => {
      const value = values[name];
      return typeof value === "string" ? value : undefined;
    },
    list: (name) => {
      const value = values[name];
      return Array.isArray(value) ? value.map(String) : [];
    },
    flag: (name) => values[name] === true,
  };
}

function helpAfter({ examples, notes = [] }: CommandSpec, width: number): string {
  const shown = examples.map(({ about, command }) =>
    `  ${about}${about.endsWith("?") ? "" : ":"}\n    ${command.replaceAll("\n", "\n  ")}`
  );
  return `\n${[...notes.map((note) => wrap(note, width).join("\n")), `Examples:\n${shown.join("\n")}`].join("\n\n")}`;
}

function generalHelp(): string {
  const codes = EXIT_MEANINGS.map(([code, meaning]) => `  ${String(code).padStart(3)}  ${meaning}`);
  return [
    "",
    "Environment:",
    "  NIX_OTA_SERVER      address of the control server, where --server is not given",
    "  NIX_OTA_TOKEN_FILE  file with the access token, where no --token is given",
    "  NO_COLOR            any value turns colours off",
    "",
    "Exit codes:",
    ...codes,
  ].join("\n");
}

/** Commander's own errors in our words. */
export function fromCommander(error: CommanderError, argv: readonly string[]): CliError {
  const text = error.message.replace(/^error: /, "");
  const [problem = "", hint = ""] = text.split("\n");
  const suggestion = /^\(Did you mean (.+)\?\)$/.exec(hint)?.[1] ?? similarSubcommand(argv);
  const help = `see nix-ota ${helpPath(argv)}--help`;
  const advice = suggestion === undefined ? help : `did you mean ${suggestion}?`;
  return usageError(`${cleanText(rephrase(problem))} (${advice})`, error);
}

/** The subcommand that a word looks like; commander itself takes it for an argument of the command above. */
function similarSubcommand([group = "", word = ""]: readonly string[]): string | undefined {
  const names = COMMANDS.map(({ name }) => name.split(" ")).filter(([one]) => one === group).flatMap(([, two]) =>
    two ?? []
  );
  return names.find((name) => name !== word && distanceOf(name, word) <= 2);
}

/** Letters to add, drop or change to get from one word to another (Levenshtein); long words are never similar. */
function distanceOf(a: string, b: string): number {
  if (a.length > 20 || b.length > 20) return 20;
  let row = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1];
    for (const [j, other] of [...b].entries()) {
      const [left = 0, up = 0, diagonal = 0] = [next[j], row[j + 1], row[j]];
      next.push(Math.min(left + 1, up + 1, diagonal + (letter === other ? 0 : 1)));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}

function rephrase(problem: string): string {
  const option = /^unknown option '(--?[^'=]*)(?:=.*)?'$/s.exec(problem)?.[1];
  if (option !== undefined) return `There is no option ${option}`;
  const command = /^unknown command '(.*)'$/s.exec(problem)?.[1];
  if (command !== undefined) return `There is no command ${JSON.stringify(command.slice(0, 60))}`;
  const bare = /^option '(--[a-z-]+) .*' argument missing$/.exec(problem)?.[1];
  if (bare !== undefined) return `${bare} needs a value`;
  const argument = /^missing required argument '(.*)'$/.exec(problem)?.[1];
  if (argument !== undefined) return `The argument <${argument}> is missing`;
  const many = /^too many arguments.*: (.*)\.$/s.exec(problem)?.[1];
  if (many !== undefined) return `There is an argument too much: ${JSON.stringify(many.slice(0, 60))}`;
  return problem;
}

function helpPath(argv: readonly string[]): string {
  const known = COMMANDS.map(({ name }) => name);
  const two = argv.slice(0, 2).join(" ");
  const [one = ""] = argv;
  return known.includes(two) ? `${two} ` : known.includes(one) ? `${one} ` : "";
}
