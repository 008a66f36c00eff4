/**
 * The real machine: the only file of the agent, with `process.ts` and `http.ts`, that touches it.
 * @module
 */
import { type Bytes, type Log } from "@nix-ota/common";
import { sendRequest } from "./http.ts";
import { killProcessGroup, runProcess, startDetachedProcess } from "./process.ts";
import type { FileFacts, Files, Held, System } from "./system.ts";

/** The machine this program runs on. */
export function createDenoSystem(log: Log): System {
  return {
    files: denoFiles,
    now: () => Date.now(),
    monotonicMs: () => performance.now(),
    random: () => Math.random(),
    sleep: sleepMs,
    run: runProcess,
    startDetached: (argv, env) => Promise.resolve(startDetachedProcess(argv, env)),
    killGroup: killProcessGroup,
    request: sendRequest,
    lock: lockFile,
    watch: watchDirectory,
    hostName: () => Deno.hostname(),
    kernelRelease: () => Deno.osRelease(),
    env: (name) => Deno.env.get(name) ?? null,
    log,
  };
}

/** Files of this machine. */
export const denoFiles: Files = {
  async read(path, maxBytes) {
    using file = await ifFound(Deno.open(path));
    if (file === null) return null;
    return await readAtMost(file, path, maxBytes);
  },
  async write(path, content, mode) {
    using file = await Deno.open(path, { write: true, create: true, truncate: true, mode });
    await writeAll(file, content);
  },
  async append(path, content, mode) {
    using file = await Deno.open(path, { append: true, create: true, mode });
    await writeAll(file, content);
  },
  async sync(path) {
    using file = await Deno.open(path);
    await file.sync();
  },
  rename: (from, to) => Deno.rename(from, to),
  setMode: (path, mode) => Deno.chmod(path, mode),
  remove: async (path) => void await ifFound(Deno.remove(path)),
  makeDirectory: (path, mode) => Deno.mkdir(path, { recursive: true, mode }),
  symlink: (target, path) => Deno.symlink(target, path),
  async readLink(path) {
    try {
      return await ifFound(Deno.readLink(path));
    } catch (error) {
      // EINVAL: something is there that is not a link.
      if (error instanceof TypeError || (error instanceof Error && error.message.includes("Invalid argument"))) {
        return null;
      }
      throw error;
    }
  },
  realPath: (path) => ifFound(Deno.realPath(path)),
  async stat(path) {
    const found = await ifFound(Deno.stat(path));
    return found === null ? null : factsOf(found);
  },
  async list(path) {
    const names: string[] = [];
    try {
      for await (const entry of Deno.readDir(path)) names.push(entry.name);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    return names.sort();
  },
  truncate: (path) => Deno.truncate(path, 0),
};

async function writeAll(file: Deno.FsFile, content: Bytes): Promise<void> {
  let written = 0;
  while (written < content.length) written += await file.write(content.subarray(written));
}

function factsOf(info: Deno.FileInfo): FileFacts {
  const kind = info.isFile ? "file" : info.isDirectory ? "directory" : info.isSymlink ? "symlink" : "other";
  return { kind, sizeBytes: info.size, mode: (info.mode ?? 0) & 0o7777 };
}

async function readAtMost(file: Deno.FsFile, path: string, maxBytes: number): Promise<Bytes> {
  // Files below /proc have no size, so the content is read until its end, not until a size.
  let buffer = new Uint8Array(Math.min(maxBytes + 1, 64 * 1024));
  let length = 0;
  for (;;) {
    const count = await file.read(buffer.subarray(length));
    if (count === null) return buffer.slice(0, length);
    length += count;
    if (length > maxBytes) throw new RangeError(`Cannot read "${path}" as it has more than ${maxBytes} bytes`);
    if (length < buffer.length) continue;
    const larger = new Uint8Array(Math.min(maxBytes + 1, buffer.length * 4));
    larger.set(buffer);
    buffer = larger;
  }
}

async function ifFound<T>(action: Promise<T>): Promise<T | null> {
  try {
    return await action;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return null;
    throw error;
  }
}

function sleepMs(ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, Math.max(0, ms));
    signal?.addEventListener("abort", done);
  });
}

async function lockFile(path: string): Promise<Held | null> {
  const file = await Deno.open(path, { read: true, write: true, create: true, mode: 0o600 });
  if (await file.tryLock(true)) return { close: () => file.close() };
  file.close();
  return null;
}

function watchDirectory(path: string, changed: () => void): Held {
  const watcher = Deno.watchFs(path, { recursive: false });
  const watching = async () => {
    for await (const _ of watcher) changed();
  };
  watching().catch(() => {}); // The directory is gone: requests are then seen at the next poll.
  return { close: () => watcher.close() };
}
