/**
 * A scripted machine and network: the same interface as the real one over plain data that can be copied, cut and looked
 * at.
 * @module
 */
import type { LogFields, LogLevel } from "@nix-ota/common";
import {
  appendFile,
  listNames,
  makeDirectories,
  makeLink,
  readFile,
  removeName,
  renameFile,
  statPath,
  syncPath,
  writeFile,
} from "./fake/disk.ts";
import { killJob, runFake, startJob } from "./fake/programs.ts";
import type { Runtime } from "./fake/runtime.ts";
import { answerFake } from "./fake/server.ts";
import { linkTarget, type World } from "./fake/world.ts";
import type { Files, System } from "./system.ts";

/** How the fake machine behaves. */
export interface FakeSystemOptions {
  /** Whether Nix knows `fsync-store-paths`: 2.25 and later. */
  readonly nixSyncs?: boolean;
  readonly random?: () => number;
  readonly log?: (level: LogLevel, event: string, fields?: LogFields) => void;
}

/** The machine of a runtime's world. */
export function createFakeSystem(runtime: Runtime, options: FakeSystemOptions = {}): System {
  const { world, op, sleep } = runtime;
  const { nixSyncs = true, random = () => 0.5, log = () => {} } = options;
  return {
    files: fakeFiles(runtime),
    now: () => world.nowMs,
    monotonicMs: () => world.nowMs,
    random,
    sleep,
    run: (command) => runFake({ world, op, sleep, nixSyncs }, command),
    async startDetached(argv) {
      await op("start the switch");
      return startJob(world, argv);
    },
    killGroup: (pid) => killJob(world, pid),
    async request(request) {
      await op(`ask ${request.method} ${new URL(request.url).pathname}`);
      const answer = answerFake(world, request);
      await op("take the answer"); // The server has acted; the device does not know yet.
      return answer;
    },
    lock: () => Promise.resolve({ close: () => {} }),
    watch: () => ({ close: () => {} }),
    hostName: () => "device",
    kernelRelease: () => "6.12.0",
    env: () => null,
    log,
  };
}

function fakeFiles({ world, op, isDead, noteSign }: Runtime): Files {
  const { disk } = world;
  const alive = async <T>(value: () => T): Promise<T> => {
    noteSign();
    return isDead() ? await new Promise<never>(() => {}) : value();
  };
  return {
    read: (path) => alive(() => readAnything(world, path)),
    async write(path, content, mode) {
      await op(`write ${path}`);
      writeFile(disk, path, content, mode);
    },
    async append(path, content, mode) {
      await op(`append ${path}`);
      appendFile(disk, path, content, mode);
    },
    async sync(path) {
      await op(`fsync ${path}`);
      syncPath(disk, path);
    },
    async rename(from, to) {
      await op(`rename ${from}`);
      renameFile(disk, from, to);
    },
    setMode: () => Promise.resolve(),
    async remove(path) {
      if (!disk.names.has(path)) return;
      await op(`remove ${path}`);
      removeName(disk, path);
    },
    async makeDirectory(path, mode) {
      if (disk.names.has(path)) return;
      await op(`mkdir ${path}`);
      makeDirectories(disk, path, mode);
    },
    async symlink(target, path) {
      await op(`symlink ${path}`);
      makeLink(disk, target, path);
    },
    readLink: (path) =>
      alive(() => {
        const node = disk.names.get(path);
        return node?.kind === "link" ? node.target : null;
      }),
    realPath: (path) => alive(() => linkTarget(world, path) ?? (disk.names.has(path) ? path : null)),
    stat: (path) => alive(() => statAnything(world, path)),
    list: (path) => alive(() => listNames(disk, path)),
    async truncate(path) {
      await op(`truncate ${path}`);
      writeFile(disk, path, new Uint8Array(), 0o600);
    },
  };
}

/** Files of processes and of store paths are made up as they are asked for. */
function readAnything(world: World, path: string): ReturnType<typeof readFile> {
  const pid = Number(/^\/proc\/(\d+)\/cmdline$/.exec(path)?.[1] ?? 0);
  const job = world.jobs.find((one) => one.pid === pid);
  if (job !== undefined) return new TextEncoder().encode(job.args.join("\0"));
  return readFile(world.disk, path);
}

function statAnything(world: World, path: string): ReturnType<typeof statPath> {
  const [, storePath] = /^(\/nix\/store\/[^/]+)\/(?:bin\/switch-to-configuration|nixos-version)$/.exec(path) ?? [];
  if (storePath === undefined) return statPath(world.disk, path);
  const entry = world.store.get(storePath);
  if (entry === undefined || !world.systems.has(storePath)) return null;
  return { kind: "file", sizeBytes: entry.intact ? 1000 : 0, mode: 0o755 };
}
