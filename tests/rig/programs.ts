/**
 * The three programs as a user would start them: from source, or the compiled executables of `NIX_OTA_BIN_DIR`.
 * @module
 */

/** A program of nix-ota. */
export type ProgramName = "nix-ota" | "nix-ota-agent" | "nix-ota-server";

const SOURCES: Readonly<Record<ProgramName, { entry: string; permissions: string }>> = {
  "nix-ota": { entry: "publisher/main.ts", permissions: "publisher" },
  "nix-ota-agent": { entry: "agent/main.ts", permissions: "agent" },
  "nix-ota-server": { entry: "main.ts", permissions: "server" },
};

const ROOT = new URL("../../", import.meta.url).pathname.replace(/\/$/, "");

/** The command line that runs a program with arguments. */
export function commandLine(name: ProgramName, args: readonly string[]): readonly string[] {
  const folder = Deno.env.get("NIX_OTA_BIN_DIR");
  if (folder) return [`${folder}/${name}`, ...args];
  const { entry, permissions } = SOURCES[name];
  const config = `${ROOT}/deno.json`;
  return [
    Deno.execPath(),
    "run",
    "-q",
    "--frozen",
    `-P=${permissions}`,
    "--config",
    config,
    `${ROOT}/${entry}`,
    ...args,
  ];
}

/** Builds what the server shows in browsers, if it was never built here: without it the server does not start. */
export async function ensureBuilt(): Promise<void> {
  if (Deno.env.get("NIX_OTA_BIN_DIR")) return;
  const isBuilt = await Deno.stat(`${ROOT}/dist/manifest.json`).then(() => true, () => false);
  if (isBuilt) return;
  const args = ["run", "-q", "-P=test", "--config", `${ROOT}/deno.json`, `${ROOT}/tools/build.ts`];
  const { success, stderr } = await new Deno.Command(Deno.execPath(), { args, stdin: "null" }).output();
  if (!success) throw new Error(`Cannot build the dashboard: ${new TextDecoder().decode(stderr).trim().slice(-1000)}`);
}

/** What a program needs to be told in a machine that has another HOME: where the runtime keeps its cache. */
export async function machineEnv(): Promise<Record<string, string>> {
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["info", "--json"] }).output();
  const { denoDir } = JSON.parse(new TextDecoder().decode(stdout)) as { denoDir: string };
  return { DENO_DIR: denoDir, NO_COLOR: "1" };
}

/** What a command printed and how it ended. */
export interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end. */
export async function runProgram(
  name: ProgramName,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<Finished> {
  const [command = "", ...rest] = commandLine(name, args);
  const { code, stdout, stderr } = await new Deno.Command(command, { args: rest, env, stdin: "null" }).output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

/** A program that goes on running. */
export interface Running {
  readonly log: () => string;
  /** False once it has ended by itself. */
  readonly isRunning: () => boolean;
  /** Asks it to end, or kills it, and waits until it is gone. */
  stop(signal?: "SIGTERM" | "SIGKILL"): Promise<void>;
}

/** Starts a program and collects what it writes. */
export function startProgram(name: ProgramName, args: readonly string[]): Running {
  const [command = "", ...rest] = commandLine(name, args);
  const child = new Deno.Command(command, { args: rest, stdin: "null", stdout: "piped", stderr: "piped" }).spawn();
  const pieces: string[] = [];
  const collect = async (stream: ReadableStream<Uint8Array>): Promise<void> => {
    const decoder = new TextDecoder();
    for await (const chunk of stream) pieces.push(decoder.decode(chunk, { stream: true }));
  };
  const done = Promise.all([collect(child.stdout), collect(child.stderr), child.status]);
  let running = true;
  const noteEnd = (): void => {
    running = false;
  };
  done.then(noteEnd, noteEnd);
  return {
    log: () => pieces.join(""),
    isRunning: () => running,
    async stop(signal = "SIGTERM") {
      try {
        child.kill(signal);
      } catch {
        // It has ended by itself.
      }
      await done;
    },
  };
}
