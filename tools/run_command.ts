/** Runs one command to its end and keeps what it said. */

/** What a finished command said. `code` is 128 + n after death by signal n, as a shell counts. */
export type CommandResult = { code: number; stdout: string; stderr: string };

/** How a command is run. */
export type CommandOptions = {
  /** Added to the caller's environment. */
  env?: Record<string, string>;
  /** Starts from nothing instead of the caller's environment. */
  clearEnv?: boolean;
  cwd?: string;
  /** SIGKILL after this many milliseconds; 10 minutes unless told. */
  timeoutMs?: number;
};

/** Nothing that tools and tests start may outlive this. */
const TIMEOUT_MS = 10 * 60_000;

/**
 * Runs `argv` without a shell and waits for its end.
 *
 * @returns The result whatever the exit code is.
 * @throws {Error} If the program does not exist, cannot be started, or ran into the time limit.
 */
export async function runCommand(argv: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  const [program, ...args] = argv;
  if (program === undefined) throw new Error("Cannot run an empty command line");
  const timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
  const deadline = AbortSignal.timeout(timeoutMs);
  const output = await start(program, args, options, deadline);
  if (deadline.aborted) throw new Error(`Cannot finish "${argv.join(" ")}" in ${timeoutMs} ms: it was stopped`);
  const decoder = new TextDecoder();
  return { code: output.code, stdout: decoder.decode(output.stdout), stderr: decoder.decode(output.stderr) };
}

/**
 * Runs `argv` and answers with its standard output.
 *
 * @throws {Error} If it exits with anything but 0; the message ends in its last words.
 */
export async function outputOf(argv: readonly string[], options: CommandOptions = {}): Promise<string> {
  const result = await runCommand(argv, options);
  if (result.code !== 0) {
    throw new Error(`Cannot go on as "${argv.join(" ")}" failed with exit code ${result.code}: ${lastWords(result)}`);
  }
  return result.stdout;
}

/** The last line that is not blank of what a command wrote to stderr, else to stdout. */
export function lastWords(result: Pick<CommandResult, "stdout" | "stderr">): string {
  const lines = `${result.stdout}\n${result.stderr}`.split("\n").map((line) => line.trim()).filter((line) =>
    line !== ""
  );
  return lines.at(-1) ?? "it said nothing";
}

async function start(
  program: string,
  args: string[],
  options: CommandOptions,
  signal: AbortSignal,
): Promise<Deno.CommandOutput> {
  const { env, cwd, clearEnv = false } = options;
  try {
    const command = new Deno.Command(program, {
      args,
      clearEnv,
      ...(env === undefined ? {} : { env }),
      ...(cwd === undefined ? {} : { cwd }),
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
      signal,
    });
    return await command.output();
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) {
      throw new Error(`Cannot run "${program}": no such program here`, { cause });
    }
    throw cause;
  }
}
