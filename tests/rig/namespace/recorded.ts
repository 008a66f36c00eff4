/** A process that runs on in a machine while a test watches it. */

import type { DeviceProcess } from "../device.ts";
import { atMost, pause } from "../wait.ts";

/** Signals a process inside the machine by its process id there. */
type Signaller = (pid: number, signal: string) => Promise<void>;

/** The process writes its id before it becomes the program: milliseconds, unless the host is very busy. */
const PID_WAIT_MS = 10_000;
const PID_POLL_MS = 2;

/** After a process ended its pipes are read to their end, unless a child of it that lives on keeps them open. */
const LAST_WORDS_MS = 200;

/**
 * Starts `argv`, which must write its process id to `pidFile` (a path of the host).
 *
 * @param signaller Delivers a signal to a process id of the machine.
 */
export async function spawnRecorded(
  argv: readonly string[],
  env: Record<string, string>,
  pidFile: string,
  signaller: Signaller,
): Promise<DeviceProcess> {
  const [program = "", ...args] = argv;
  const command = { args, env, clearEnv: true, cwd: "/", stdin: "null", stdout: "piped", stderr: "piped" } as const;
  const child = new Deno.Command(program, command).spawn();
  const stdout = record(child.stdout);
  const stderr = record(child.stderr);
  let isRunning = true;
  const ended = child.status.then(async ({ code }) => {
    isRunning = false;
    await atMost(LAST_WORDS_MS, Promise.all([stdout.finished, stderr.finished]));
    return { code };
  });
  const pid = await readPid(pidFile, () => isRunning);
  return {
    ended,
    stdout: stdout.text,
    stderr: stderr.text,
    async kill(signal) {
      if (isRunning && pid !== undefined) await signaller(pid, signal);
    },
  };
}

async function readPid(file: string, isRunning: () => boolean): Promise<number | undefined> {
  for (let waitedMs = 0; waitedMs < PID_WAIT_MS && isRunning(); waitedMs += PID_POLL_MS) {
    const text = await Deno.readTextFile(file).catch(() => "");
    if (text !== "") return Number(text);
    await pause(PID_POLL_MS);
  }
  return undefined;
}

function record(stream: ReadableStream<Uint8Array<ArrayBuffer>>): { text: () => string; finished: Promise<void> } {
  let text = "";
  const finished = (async () => {
    for await (const chunk of stream.pipeThrough(new TextDecoderStream())) text += chunk;
  })();
  return { text: () => text, finished };
}
