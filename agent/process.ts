/**
 * Runs programs: argv only, given environment only, own process group, deadline for the whole group, capped output.
 * @module
 */
import { type Bytes, concatBytes } from "@nix-ota/common";
import { type Command, OUTPUT_MAX_BYTES, OUTPUT_TAIL_BYTES, type Ran } from "./system.ts";

/** How long a killed group's pipes are read on: what left the group and holds them is not waited for. */
const DRAIN_MS = 2_000;
/** Longest line of stderr that is handed on, in UTF-16 code units: the rest of a longer one is dropped. */
const LINE_MAX = 64 * 1024;

/** Runs a program to its end, or to its group's death by the deadline, the signal or too much output. */
export async function runProcess(command: Command): Promise<Ran> {
  const [program, ...args] = command.argv;
  if (program === undefined) throw new TypeError("Cannot run an empty command line");
  const child = new Deno.Command(program, {
    args,
    env: { ...command.env },
    clearEnv: true,
    cwd: "/",
    detached: true, // A session and a process group of its own, so that the group can be killed as one.
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let killed: Ran["killed"] = null;
  const draining = Promise.withResolvers<void>();
  const kill = (why: NonNullable<Ran["killed"]>) => {
    killed ??= why;
    killProcessGroup(child.pid);
    drainTimer ??= setTimeout(() => draining.resolve(), DRAIN_MS);
  };
  let drainTimer: ReturnType<typeof setTimeout> | undefined;
  const timer = setTimeout(() => kill("timeout"), command.timeoutMs);
  const onAbort = () => kill("signal");
  command.signal?.addEventListener("abort", onAbort);
  if (command.signal?.aborted) onAbort();
  try {
    const stdout = readCapped(child.stdout, () => kill("output"), draining.promise);
    const stderr = readTail(child.stderr, command.onStderrLine ?? (() => {}), draining.promise);
    const status = await child.status;
    // What the program left running in its group would hold the pipes open and outlive the call.
    killProcessGroup(child.pid);
    drainTimer ??= setTimeout(() => draining.resolve(), DRAIN_MS);
    return { code: status.code, stdout: await stdout, stderr: await stderr, killed };
  } finally {
    clearTimeout(timer);
    clearTimeout(drainTimer);
    command.signal?.removeEventListener("abort", onAbort);
  }
}

/** Kills a whole process group; nothing happens where there is none. */
export function killProcessGroup(pid: number): void {
  try {
    Deno.kill(-pid, "SIGKILL");
  } catch {
    // It has ended.
  }
}

/** Starts a program that outlives this one. */
export function startDetachedProcess(argv: readonly string[], env: Readonly<Record<string, string>>): number {
  const [program, ...args] = argv;
  if (program === undefined) throw new TypeError("Cannot run an empty command line");
  const child = new Deno.Command(program, {
    args,
    env: { ...env },
    clearEnv: true,
    cwd: "/",
    detached: true,
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  child.unref();
  child.status.catch(() => {}); // Reaps it; how it ended is read from the file that it leaves.
  return child.pid;
}

type Stream = ReadableStream<Bytes>;

/** Reads chunks until the stream ends or `until` does. */
async function eachChunk(stream: Stream, until: Promise<void>, take: (chunk: Bytes) => void): Promise<void> {
  const reader = stream.getReader();
  const stopped = until.then(() => null);
  for (;;) {
    const part = await Promise.race([reader.read(), stopped]);
    if (part === null || part.done) break;
    take(part.value);
  }
  await reader.cancel().catch(() => {});
}

async function readCapped(stream: Stream, tooMuch: () => void, until: Promise<void>): Promise<string> {
  const parts: Bytes[] = [];
  let size = 0;
  await eachChunk(stream, until, (chunk) => {
    size += chunk.length;
    if (size > OUTPUT_MAX_BYTES) return tooMuch();
    parts.push(chunk);
  });
  return new TextDecoder().decode(concatBytes(...parts));
}

async function readTail(stream: Stream, onLine: (line: string) => void, until: Promise<void>): Promise<string> {
  const decoder = new TextDecoder();
  let tail = "";
  let line = "";
  await eachChunk(stream, until, (chunk) => {
    const text = decoder.decode(chunk, { stream: true });
    tail = (tail + text).slice(-OUTPUT_TAIL_BYTES);
    const lines = (line + text).split("\n");
    line = (lines.pop() ?? "").slice(0, LINE_MAX);
    for (const whole of lines) onLine(whole);
  });
  if (line !== "") onLine(line);
  return tail;
}
