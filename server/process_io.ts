/** The process around the program: its streams and its signals. */
import type { CliIo } from "./cli.ts";

/** Exit code of a process that SIGINT ended. */
const INTERRUPTED = 130;

/** The outside of this process. */
export function processIo(): CliIo {
  const encoder = new TextEncoder();
  return {
    out: (text) => void Deno.stdout.writeSync(encoder.encode(text)),
    err: (text) => void Deno.stderr.writeSync(encoder.encode(text)),
    untilStopped,
  };
}

/** Resolves at the first SIGTERM or SIGINT; a second one ends the process at once. */
function untilStopped(): Promise<void> {
  return new Promise((resolve) => {
    let asked = false;
    const stop = (): void => {
      if (asked) Deno.exit(INTERRUPTED);
      asked = true;
      resolve();
    };
    Deno.addSignalListener("SIGTERM", stop);
    Deno.addSignalListener("SIGINT", stop);
  });
}
