/**
 * nix-ota-server: joins the server and its pages, and meets the outside.
 * @module
 */
import { runCli } from "@nix-ota/server";

const encoder = new TextEncoder();

/** Resolves at the first SIGTERM or SIGINT; a second one ends the process at once. */
function untilStopped(): Promise<void> {
  return new Promise((resolve) => {
    let asked = false;
    const stop = (): void => {
      if (asked) Deno.exit(130);
      asked = true;
      resolve();
    };
    Deno.addSignalListener("SIGTERM", stop);
    Deno.addSignalListener("SIGINT", stop);
  });
}

const code = await runCli(Deno.args, {
  out: (text) => void Deno.stdout.writeSync(encoder.encode(text)),
  err: (text) => void Deno.stderr.writeSync(encoder.encode(text)),
  untilStopped,
}, () => {});
Deno.exit(code);
