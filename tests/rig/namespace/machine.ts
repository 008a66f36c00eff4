/**
 * A machine made of namespaces: a room (mount namespace) that holds its disks until it is closed, and in it one boot at a
 * time (process namespace, fresh /run). Both end when this program ends, however it ends, because they wait on a pipe from it.
 *
 * Needs util-linux' `unshare`, `nsenter` and `mount`, and root or unprivileged user namespaces.
 */

import { type CommandResult, lastWords, runCommand } from "../../../tools/run_command.ts";
import type { NixTools } from "../../../tools/nix_tools.ts";
import type { DeviceProcess, ExecOptions } from "../device.ts";
import { type NixRole, writeNixSetup } from "../nix_setup.ts";
import { atMost } from "../wait.ts";
import { type Held, startHeld } from "./held.ts";
import { spawnRecorded } from "./recorded.ts";

/** How a machine is made. */
export type MachineOptions = {
  tools: NixTools;
  role: NixRole;
  /** How many bytes fit into /nix, for a full disk. It is kept in memory, where Nix' many fsyncs cost nothing. */
  storeBytes?: number | undefined;
  /** Keeps /nix on the host's disk instead. */
  isStoreOnDisk?: boolean | undefined;
  /** Host directory in which the machine's disks are made; the one for temporary files unless told. */
  parentDir?: string | undefined;
};

/** What commands find in a machine: wrappers for Nix first, then the host's programs. */
export const MACHINE_PATH = "/rig/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** What a store in memory may take at most: the kernel's own default for a tmpfs. */
const MEMORY_SHARE = "50%";

const EXEC_TIMEOUT_MS = 120_000;

/** Directories of a machine on the host, below the one made for it. */
const DIRS = ["root", "nix", "boot", "log", "etc-nix-ota", "rig/pids"];

/** A machine; see above. Off until `boot()`. */
export class NamespaceMachine {
  readonly #dir: string;
  readonly #room: Held;
  #boot: Held | undefined;
  #processes: DeviceProcess[] = [];
  #spawned = 0;
  #passed = 0;

  private constructor(dir: string, room: Held) {
    this.#dir = dir;
    this.#room = room;
  }

  /** @throws {Error} When this user may not make namespaces. */
  static async create(options: MachineOptions): Promise<NamespaceMachine> {
    const { parentDir } = options;
    const place = { prefix: "nix-ota-rig-", ...(parentDir === undefined ? {} : { dir: parentDir }) };
    const dir = await Deno.realPath(await Deno.makeTempDir(place));
    try {
      await Promise.all(DIRS.map((name) => Deno.mkdir(`${dir}/${name}`, { recursive: true })));
      await writeNixSetup(`${dir}/rig`, options.tools.binDir, options.role);
      await Deno.copyFile(scriptFile("boot.sh"), `${dir}/rig/boot.sh`);
      const { isStoreOnDisk = false, storeBytes = MEMORY_SHARE } = options;
      const size = isStoreOnDisk ? "disk" : String(storeBytes);
      const unshare = [
        "unshare",
        ...(isRoot() ? [] : ["--user", "--map-root-user"]),
        "--mount",
        "--propagation",
        "unchanged",
        "--",
      ];
      const room = await startHeld([...unshare, "sh", scriptFile("room.sh"), dir, size]);
      return new NamespaceMachine(dir, room);
    } catch (cause) {
      await removeAll(dir);
      throw cause;
    }
  }

  get isOn(): boolean {
    return this.#boot !== undefined;
  }

  /** Runs a command on the machine's files, whether it is on or off. There is nothing in /run of a machine that is off. */
  onDisks(argv: readonly string[]): Promise<CommandResult> {
    if (this.isOn) return this.exec(argv);
    const entered = [...nsenter(this.#room.pid, ["--mount", "--root", "--wd"]), ...argv];
    return runCommand(entered, { env: environment({}), clearEnv: true, timeoutMs: EXEC_TIMEOUT_MS });
  }

  /** Puts a file of the host, with its mode, at a path of the machine's disks. */
  async copyIn(hostFile: string, path: string): Promise<void> {
    const passed = `${this.#dir}/rig/passed-${++this.#passed}`;
    await Deno.copyFile(hostFile, passed);
    await this.#moveIn(passed, path);
  }

  /** Writes a file at a path of the machine's disks. */
  async writeText(path: string, text: string): Promise<void> {
    const passed = `${this.#dir}/rig/passed-${++this.#passed}`;
    await Deno.writeTextFile(passed, text);
    await this.#moveIn(passed, path);
  }

  /** Starts the first process, with nothing in /run. */
  async boot(): Promise<void> {
    if (this.#boot !== undefined) throw new Error("Cannot start a machine that is on");
    const enter = nsenter(this.#room.pid, ["--mount", "--root", "--wd"]);
    const unshare = ["unshare", "--mount", "--propagation", "unchanged", "--pid", "--fork"];
    const boot = await startHeld([...enter, ...unshare, "sh", "/rig/boot.sh"]);
    this.#boot = { ...boot, pid: Number(boot.firstLine) };
  }

  /** Runs a command to its end. @throws {Error} If the machine is off or the time is up. */
  exec(argv: readonly string[], options: ExecOptions = {}): Promise<CommandResult> {
    const timeoutMs = options.timeoutMs ?? EXEC_TIMEOUT_MS;
    return runCommand(this.#entered(argv), { env: environment(options), clearEnv: true, timeoutMs });
  }

  /** As `exec()`, and answers with what it printed. @throws {Error} If it fails. */
  async output(argv: readonly string[], options: ExecOptions = {}): Promise<string> {
    const result = await this.exec(argv, options);
    if (result.code === 0) return result.stdout;
    throw new Error(
      `Cannot go on as "${argv.join(" ")}" failed with ${result.code} in a machine: ${lastWords(result)}`,
    );
  }

  /** Starts a command that goes on running. */
  async spawn(argv: readonly string[], options: ExecOptions = {}): Promise<DeviceProcess> {
    const pidFile = `/rig/pids/${++this.#spawned}`;
    const script = 'echo "$$" > "$0.new"; mv "$0.new" "$0"; exec "$@"';
    const entered = this.#entered(["sh", "-c", script, pidFile, ...argv]);
    const process = await spawnRecorded(
      entered,
      environment(options),
      `${this.#dir}${pidFile}`,
      async (pid, signal) => {
        if (this.isOn) await this.exec(["sh", "-c", `kill -s ${signal.slice(3)} ${pid}`]);
      },
    );
    this.#processes.push(process);
    return process;
  }

  /** Ends everything in the machine at once with SIGKILL, and waits until nothing of it runs. */
  async kill(): Promise<void> {
    const boot = this.#boot;
    if (boot === undefined) return;
    this.#boot = undefined;
    killIfRunning(boot.pid);
    await boot.ended;
    await Promise.all(this.#processes.map((process) => process.ended));
    this.#processes = [];
  }

  /** Asks everything to end, waits for what was spawned, and kills the rest. */
  async shutDown(graceMs: number): Promise<void> {
    if (this.#boot === undefined) return;
    await this.exec(["sh", "-c", "kill -s TERM -- -1"]);
    await atMost(graceMs, Promise.all(this.#processes.map((process) => process.ended)));
    await this.kill();
  }

  /** Ends the machine and deletes its disks. */
  async dispose(): Promise<void> {
    await this.kill();
    await this.#room.end();
    await removeAll(this.#dir);
  }

  async #moveIn(passed: string, path: string): Promise<void> {
    const script = 'mkdir -p "${2%/*}" && mv "$1" "$2"';
    const seen = passed.slice(this.#dir.length);
    const result = await this.onDisks(["sh", "-c", script, "sh", seen, path]);
    if (result.code !== 0) throw new Error(`Cannot write "${path}" in a machine: ${lastWords(result)}`);
  }

  #entered(argv: readonly string[]): string[] {
    if (this.#boot === undefined) throw new Error(`Cannot run "${argv.join(" ")}" in a machine that is off`);
    return [...nsenter(this.#boot.pid, ["--mount", "--pid", "--root", "--wd"]), ...argv];
  }
}

function environment({ env = {} }: ExecOptions): Record<string, string> {
  return { PATH: MACHINE_PATH, HOME: "/rig/home", LANG: "C.UTF-8", ...env };
}

function nsenter(pid: number, namespaces: readonly string[]): string[] {
  return ["nsenter", "-t", String(pid), ...(isRoot() ? [] : ["--user", "--preserve-credentials"]), ...namespaces, "--"];
}

function killIfRunning(pid: number): void {
  try {
    Deno.kill(pid, "SIGKILL");
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

function isRoot(): boolean {
  return Deno.uid() === 0;
}

function scriptFile(name: string): string {
  return `${import.meta.dirname}/${name}`;
}

/** Store paths are read-only directories, which only root deletes as they are. */
async function removeAll(dir: string): Promise<void> {
  if (!isRoot()) await runCommand(["chmod", "-R", "u+w", dir]);
  await Deno.remove(dir, { recursive: true });
}
