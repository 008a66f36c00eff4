/**
 * Everything the agent can do to the machine and the network, as one interface: real in `system_deno.ts`, scripted in
 * `system_fake.ts`. Nothing else in the agent does input or output.
 * @module
 */
import type { Bytes, LogFields, LogLevel } from "@nix-ota/common";

/** What is at a path. */
export interface FileFacts {
  readonly kind: "file" | "directory" | "symlink" | "other";
  readonly sizeBytes: number;
  /** Permission bits, such as 0o600. */
  readonly mode: number;
}

/** Files. A write is durable only after {@link Files.sync} of the file and, for its name, of the directory. */
export interface Files {
  /** The content, or null where there is no such file. Throws where it has more than `maxBytes`. */
  read(path: string, maxBytes: number): Promise<Bytes | null>;
  /** Creates or replaces the content. Not atomic and not durable by itself. */
  write(path: string, content: Bytes, mode: number): Promise<void>;
  /** Adds to the end of a file, which is made where it is not there. */
  append(path: string, content: Bytes, mode: number): Promise<void>;
  /** Makes a file's content, or a directory's names, durable (fsync). */
  sync(path: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  setMode(path: string, mode: number): Promise<void>;
  /** Removes a file or a link; nothing happens where there is none. */
  remove(path: string): Promise<void>;
  /** Makes a directory and those above it; nothing happens where it is there. */
  makeDirectory(path: string, mode: number): Promise<void>;
  symlink(target: string, path: string): Promise<void>;
  /** What a link says, or null where there is no link. */
  readLink(path: string): Promise<string | null>;
  /** Where a path leads after all links, or null where it leads nowhere. */
  realPath(path: string): Promise<string | null>;
  /** What a path leads to, links followed, or null. */
  stat(path: string): Promise<FileFacts | null>;
  /** Names in a directory, sorted; empty where there is no such directory. */
  list(path: string): Promise<readonly string[]>;
  /** Cuts a file to nothing. */
  truncate(path: string): Promise<void>;
}

/** How a program is run: without a shell, with exactly this environment, in a process group of its own. */
export interface Command {
  /** The program's absolute path and its arguments. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** The whole group is killed after this many milliseconds. */
  readonly timeoutMs: number;
  /** Called with each line of stderr, without its end. */
  readonly onStderrLine?: (line: string) => void;
  /** Kills the whole group when it fires. */
  readonly signal?: AbortSignal;
}

/** How a program ended. */
export interface Ran {
  /** 128 + n after death by signal n, as a shell counts. */
  readonly code: number;
  /** At most {@link OUTPUT_MAX_BYTES}. */
  readonly stdout: string;
  /** The last {@link OUTPUT_TAIL_BYTES}. */
  readonly stderr: string;
  /** Why it was killed, or null where it ended by itself. */
  readonly killed: "timeout" | "signal" | "output" | null;
}

/** Most stdout that is read of a program: the facts of 65,536 paths take some 40 MB. A program that says more is killed. */
export const OUTPUT_MAX_BYTES = 96 * 1024 * 1024;
/** How much of the end of a program's stderr is kept. */
export const OUTPUT_TAIL_BYTES = 64 * 1024;

/** One HTTP request. Redirects are refused. */
export interface HttpRequest {
  readonly method: "GET" | "POST";
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Bytes;
  /** From connecting to the last byte. */
  readonly timeoutMs: number;
  /** Most bytes of the body, after decoding. */
  readonly maxBytes: number;
  readonly signal?: AbortSignal;
}

/** One HTTP answer, read to its end. */
export interface HttpAnswer {
  readonly status: number;
  /** A header's value, or null. */
  header(name: string): string | null;
  readonly body: Bytes;
}

/** A request that brought no whole answer. */
export class HttpError extends Error {
  override readonly name: string = "HttpError";
  readonly kind: "timeout" | "too_large" | "network" | "aborted";

  constructor(kind: HttpError["kind"], message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}

/** Something held open. */
export interface Held {
  close(): void;
}

/** The machine and the network. */
export interface System {
  readonly files: Files;
  /** Milliseconds since 1970 by the system clock, which may be wrong and may jump. */
  now(): number;
  /** Milliseconds of a clock that never jumps. */
  monotonicMs(): number;
  /** A value in [0, 1). */
  random(): number;
  /** Waits; ends early, without an error, when the signal fires. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  run(command: Command): Promise<Ran>;
  /**
   * Starts a program that outlives the agent, as leader of a process group, with nothing on its standard streams.
   * @returns Its process id.
   */
  startDetached(argv: readonly string[], env: Readonly<Record<string, string>>): Promise<number>;
  /** Kills a whole process group; nothing happens where there is none. */
  killGroup(pid: number): void;
  request(request: HttpRequest): Promise<HttpAnswer>;
  /** Takes a file lock for the life of the process or until closed, or null where another process has it. */
  lock(path: string): Promise<Held | null>;
  /** Calls back after anything changed in a directory. */
  watch(path: string, changed: () => void): Held;
  hostName(): string;
  kernelRelease(): string;
  /** An environment variable of the agent itself. */
  env(name: string): string | null;
  log(level: LogLevel, event: string, fields?: LogFields): void;
}
