/** A process that lives as long as a pipe from this program: the kernel closes the pipe even if this program is killed. */

/** A process that has said that it is ready. */
export type Held = {
  pid: number;
  /** What it said when it was ready. */
  firstLine: string;
  /** Settles when the process is gone. */
  ended: Promise<void>;
  /** Closes the pipe and waits for the end. */
  end(): Promise<void>;
};

/** The last words of a process that did not come up. */
const COMPLAINT_CHARS = 400;

/**
 * Starts a process and waits for its first line.
 *
 * @throws {Error} If it ends before it says anything; with what it wrote to stderr.
 */
export async function startHeld(argv: readonly string[]): Promise<Held> {
  const [program = "", ...args] = argv;
  const child = new Deno.Command(program, { args, stdin: "piped", stdout: "piped", stderr: "piped", cwd: "/" }).spawn();
  const complaint = new Response(child.stderr).text();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let said = "";
  while (!said.includes("\n")) {
    const { value, done } = await reader.read();
    if (done) {
      await child.stdin.close();
      await child.status;
      throw new Error(
        `Cannot make a machine of namespaces: ${(await complaint).trim().slice(-COMPLAINT_CHARS)} ` +
          "(this needs root, or a kernel that lets users make user namespaces)",
      );
    }
    said += value;
  }
  void reader.cancel();
  const ended = child.status.then(async () => {
    await complaint;
    await child.stdin.close().catch(() => {});
  });
  return {
    pid: child.pid,
    firstLine: said.split("\n")[0] ?? "",
    ended,
    async end() {
      await child.stdin.close().catch(() => {});
      await ended;
    },
  };
}
