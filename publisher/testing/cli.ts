/**
 * Runs the command line as a process of its own, as users do.
 * @module
 */
const ROOT = new URL("../../", import.meta.url).pathname;

/** How a run ended. */
export interface CliResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** What a run is given. */
export interface CliOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
  /** A folder before all others on PATH. */
  readonly binDir?: string;
  /** Sent after the process wrote `after` to stderr. */
  readonly interrupt?: { readonly after: string };
}

/** A run that takes longer hangs. */
const TIMEOUT_MS = 60_000;

const PERMISSIONS = ["run", "-q", "--no-prompt", "-P=publisher", "--config", `${ROOT}deno.json`];

/** Starts the process with a clean environment. */
export async function runNixOta(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  const path = Deno.env.get("PATH") ?? "";
  const child = new Deno.Command(Deno.execPath(), {
    args: [...PERMISSIONS, `${ROOT}publisher/main.ts`, ...args],
    clearEnv: true,
    env: {
      PATH: options.binDir === undefined ? path : `${options.binDir}:${path}`,
      HOME: Deno.env.get("HOME") ?? "/",
      LANG: "C.UTF-8",
      ...(Deno.env.has("DENO_DIR") ? { DENO_DIR: Deno.env.get("DENO_DIR") ?? "" } : {}),
      ...options.env,
    },
    stdin: "piped",
    signal: AbortSignal.timeout(TIMEOUT_MS),
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  // A program that does not read its stdin may be gone before all is written.
  const fed = writer.write(new TextEncoder().encode(options.stdin ?? "")).then(() => writer.close()).catch(() =>
    undefined
  );
  const [stdout, stderr, status] = await Promise.all([
    new Response(child.stdout).text(),
    readErrors(child, options.interrupt),
    child.status,
    fed,
  ]);
  return { code: status.code, stdout, stderr };
}

async function readErrors(child: Deno.ChildProcess, interrupt: CliOptions["interrupt"]): Promise<string> {
  let text = "";
  let sent = false;
  for await (const piece of child.stderr.pipeThrough(new TextDecoderStream())) {
    text += piece;
    if (sent || interrupt === undefined || !text.includes(interrupt.after)) continue;
    sent = true;
    child.kill("SIGINT");
  }
  return text;
}
