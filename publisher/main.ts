/**
 * `nix-ota`: the command line of operators and CI.
 * @module
 */
import { runCli } from "./cli.ts";
import { EXIT } from "./errors.ts";
import { processStreams } from "./ui/ui.ts";

if (import.meta.main) Deno.exit(await main());

async function main(): Promise<number> {
  const stop = new AbortController();
  const onSignal = (): void => {
    // The first one ends the work where that leaves nothing half done, the second one ends it here.
    if (stop.signal.aborted) Deno.exit(EXIT.interrupted);
    stop.abort();
  };
  for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, onSignal);
  const env = (name: string): string | undefined => Deno.env.get(name);
  return await runCli(Deno.args, {
    env,
    streams: processStreams(env),
    now: () => Date.now(),
    random: Math.random,
    signal: stop.signal,
  });
}
