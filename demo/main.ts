/**
 * The main job end to end, on real Nix, on this machine:
 *
 *   deno task demo             plays the story and ends with a table
 *   deno task demo --serve     the same, and keeps the live page up afterwards
 *   deno task demo --json FILE writes what was seen and measured
 *
 * Exits 0 when every step was as expected, 1 when one was not, 64 on a wrong option.
 * @module
 */
import { ControlServer, freePort } from "../tests/rig/control_server.ts";
import { machineEnv } from "../tests/rig/programs.ts";
import { formatTable, openReport, type Report } from "./report.ts";
import { playStory } from "./story.ts";
import { openWorld } from "./world.ts";

/** What the command line asks for. */
interface Options {
  readonly serve: boolean;
  readonly json: string | null;
}

function write(text: string): void {
  const bytes = new TextEncoder().encode(text);
  for (let done = 0; done < bytes.length;) done += Deno.stdout.writeSync(bytes.subarray(done));
}

function parseOptions(args: readonly string[]): Options | string {
  let options: Options = { serve: false, json: null };
  for (let at = 0; at < args.length; at += 1) {
    const arg = args[at];
    if (arg === "--serve") options = { ...options, serve: true };
    else if (arg === "--json" && args[at + 1] !== undefined) options = { ...options, json: args[at += 1] ?? null };
    else return `Cannot use the option "${arg}": wanted --serve or --json FILE`;
  }
  return options;
}

async function untilInterrupted(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  Deno.addSignalListener("SIGINT", resolve);
  Deno.addSignalListener("SIGTERM", resolve);
  await promise;
}

async function play(options: Options, report: Report): Promise<void> {
  const startedMs = performance.now();
  await using world = await openWorld(report.say);
  report.facts.setUpSeconds = Math.round((performance.now() - startedMs) / 100) / 10;
  await using control = new ControlServer({ folder: world.folder, port: freePort() });
  const lastWords = await playStory({ world, control, report, env: await machineEnv() });
  report.facts.totalSeconds = Math.round((performance.now() - startedMs) / 100) / 10;
  report.facts.nixVersion = world.nixVersion;
  write(`\n${formatTable(report.rows)}\n${report.facts.totalSeconds} s with Nix ${world.nixVersion}\n`);
  if (lastWords !== null) write(`\nWhat the programs said last:\n${lastWords}\n`);
  if (options.json !== null) {
    await Deno.writeTextFile(options.json, `${JSON.stringify({ steps: report.rows, facts: report.facts }, null, 2)}\n`);
  }
  if (!options.serve) return;
  write(`\nThe page stays up at ${control.url} (end it with Ctrl-C)\n`);
  await untilInterrupted();
}

async function main(args: readonly string[]): Promise<number> {
  const options = parseOptions(args);
  if (typeof options === "string") {
    write(`${options}\n`);
    return 64;
  }
  const report = openReport({ write, isTerminal: Deno.stdout.isTerminal(), now: () => performance.now() });
  try {
    await play(options, report);
  } catch (error) {
    write(`\nCannot go on with the demo: ${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  }
  return report.rows.every((row) => row.ok) ? 0 : 1;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
