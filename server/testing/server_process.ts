/**
 * The program as a process, without its pages, for tests of what a process does: starting, stopping, dying.
 * @module
 */

const MAIN = new URL("./headless.ts", import.meta.url).pathname;
/** A first start compiles nothing, but the machine may be busy. */
const START_MS = 30_000;

/** A server process. */
export interface ServerProcess {
  readonly url: string;
  /** What it said on standard output at its start. */
  readonly said: string;
  /** Asks it to stop, or kills it; answers with its exit code (128 + n for signal n). */
  end(signal: "SIGTERM" | "SIGINT" | "SIGKILL"): Promise<number>;
  /** What it has logged so far. */
  logged(): string;
}

/** The command line of the program. */
export function serverCommand(args: readonly string[], options: Partial<Deno.CommandOptions> = {}): Deno.Command {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-check", "--quiet", "-P=server", MAIN, ...args],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    ...options,
  });
}

/** Runs the program to its end. */
export async function runServer(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const { code, stdout, stderr } = await serverCommand(args).output();
  const decoder = new TextDecoder();
  return { code, out: decoder.decode(stdout), err: decoder.decode(stderr) };
}

/** Starts a server on a port that the system chooses, and answers when it takes requests. */
export async function startServerProcess(dataDir: string, ...args: string[]): Promise<ServerProcess> {
  const child = serverCommand(["--listen", "127.0.0.1:0", "--data-dir", dataDir, ...args]).spawn();
  const out = collect(child.stdout);
  const err = collect(child.stderr);
  const deadlineMs = performance.now() + START_MS;
  let exited = false;
  void child.status.then(() => exited = true);
  while (!out.text().includes("cache.example.org")) {
    if (exited || performance.now() > deadlineMs) {
      throw new Error(`The server did not start: ${out.text()}${err.text()}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  const [, url] = /Listening on +(\S+)/.exec(out.text()) ?? [];
  if (url === undefined) throw new Error(`The server did not say where it listens: ${out.text()}`);
  return {
    url,
    said: out.text(),
    end: async (signal) => {
      child.kill(signal);
      const { code } = await child.status;
      await Promise.all([out.ended, err.ended]);
      return code;
    },
    logged: err.text,
  };
}

function collect(stream: ReadableStream<Uint8Array>): { text: () => string; ended: Promise<void> } {
  const decoder = new TextDecoder();
  let text = "";
  const ended = (async () => {
    for await (const chunk of stream) text += decoder.decode(chunk, { stream: true });
  })();
  return { text: () => text, ended };
}
