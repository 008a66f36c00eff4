/**
 * Runs Nix.
 * @module
 */
import { cleanLine } from "@nix-ota/common";
import { CliError, EXIT, interrupted } from "./errors.ts";

/** What a finished `nix` said. */
export interface NixOutput {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Longest time for one run of `nix`, in milliseconds: it only reads, 65,536 paths take some seconds. */
const TIMEOUT_MS = 120_000;

/**
 * Runs `nix` as the user would, with the commands that it still calls experimental.
 * @throws {CliError} Where there is no Nix, or it does not end.
 */
export async function runNix(args: readonly string[], signal: AbortSignal): Promise<NixOutput> {
  const deadline = AbortSignal.timeout(TIMEOUT_MS);
  const output = await start(args, AbortSignal.any([signal, deadline]));
  if (signal.aborted) throw interrupted("walking the closure: nothing was sent");
  if (deadline.aborted) {
    throw new CliError(EXIT.unexpected, `Cannot walk the closure as nix did not end within ${TIMEOUT_MS / 1000} s`);
  }
  const decoder = new TextDecoder();
  return { code: output.code, stdout: decoder.decode(output.stdout), stderr: decoder.decode(output.stderr) };
}

async function start(args: readonly string[], signal: AbortSignal): Promise<Deno.CommandOutput> {
  try {
    return await new Deno.Command("nix", {
      args: ["--extra-experimental-features", "nix-command", ...args],
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
      signal,
    }).output();
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
    throw new CliError(
      EXIT.usage,
      "Cannot walk the closure as there is no nix on PATH (publish where Nix 2.18 or newer is installed)",
      { code: "closure_unusable", cause },
    );
  }
}

/** The sentence after `error:` in what Nix wrote, else its last line. */
export function nixReason(stderr: string): string {
  const lines = stderr.split("\n").map((line) => cleanLine(line, 300)).filter((line) => line !== "");
  const error = lines.findLast((line) => line.startsWith("error: "));
  return error?.slice("error: ".length) ?? lines.at(-1) ?? "it said nothing";
}
