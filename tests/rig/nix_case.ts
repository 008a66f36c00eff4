/** A row of the tables in nix_failures.ts and nix_commands.ts: something that goes wrong, and what real Nix says then. */

import type { CommandResult } from "../../tools/run_command.ts";
import type { NixBench } from "./nix_bench.ts";

/** One row. */
export type NixCase = {
  /** Names the fixture. */
  name: string;
  /** For people: what is wrong. */
  what: string;
  code: number;
  /** Takes more than ten seconds, so that only the capture runs it. */
  isSlow?: true;
  /** What decides the case, anywhere in the messages. */
  says: RegExp;
  run(bench: NixBench): Promise<CommandResult>;
};

/** What Nix says of a path that no substituter has, whatever the reason. */
export const NOT_OFFERED = /^don't know how to build these paths:$/m;

/** Runs a row on a cache that is well and a device that has forgotten the last download. */
export async function runNixCase(bench: NixBench, row: NixCase): Promise<CommandResult> {
  bench.cache.setFault();
  await bench.forgetDownload();
  const result = await row.run(bench);
  bench.cache.setFault();
  return result;
}
