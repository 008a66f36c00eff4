/**
 * What a test can do to a device, whatever the device is made of: a mount namespace today, a container or a virtual
 * machine tomorrow. A scenario written against this interface runs on all of them.
 */

import type { CommandResult } from "../../tools/run_command.ts";

/** How a command is run in a device. The environment holds PATH, HOME and LANG, and what is given here. */
export type ExecOptions = {
  env?: Record<string, string>;
  /** SIGKILL after this many milliseconds; two minutes unless told. */
  timeoutMs?: number;
};

/** How a process that goes on running ended: with an exit code, or by a signal that gives 128 + its number. */
export type ProcessEnd = { code: number };

/** A process that goes on running in a device. It ends with the device's boot. */
export type DeviceProcess = {
  readonly ended: Promise<ProcessEnd>;
  /** Everything written so far. */
  stdout(): string;
  stderr(): string;
  /** Signals the process itself, not its children; silent when it has ended. */
  kill(signal: "SIGTERM" | "SIGKILL" | "SIGINT" | "SIGHUP" | "SIGSTOP" | "SIGCONT"): Promise<void>;
};

/** What is lost in a power cut besides all that runs. */
export type PowerCutOptions = {
  /**
   * Files and directories whose content had not reached the disk: every regular file in them is cut to 0 bytes, while
   * names and Nix' database stay, as ext4 leaves them.
   */
  lose?: readonly string[];
};

/** One line of `/var/log/switch.log`: a call of a system's `switch-to-configuration`, or its `init`. */
export type SwitchCall = {
  atSeconds: number;
  action: "switch" | "boot" | "test" | "dry-activate" | "init";
  storePath: string;
};

/** A device. Paths are the device's own unless they say otherwise. */
export interface Device extends AsyncDisposable {
  readonly name: string;

  /** Runs a command to its end. @throws {Error} If the device is off. */
  exec(argv: readonly string[], options?: ExecOptions): Promise<CommandResult>;
  /** Starts a command and answers at once. @throws {Error} If the device is off. */
  spawn(argv: readonly string[], options?: ExecOptions): Promise<DeviceProcess>;
  /** Copies a file of the host, with its mode. */
  copyIn(hostFile: string, path: string): Promise<void>;
  writeText(path: string, text: string): Promise<void>;
  /** @returns undefined when there is no such file. */
  readText(path: string): Promise<string | undefined>;

  /** Switches the device on: it boots what its boot loader's default is, when it has one. */
  start(): Promise<void>;
  /** Ends everything with SIGTERM, then SIGKILL, and starts again. */
  reboot(): Promise<void>;
  /** Ends everything at once with SIGKILL. The device stays off until `start()`. */
  powerCut(options?: PowerCutOptions): Promise<void>;

  /** An address under which the device reaches a server of the host, and which `net("down")` cuts. */
  reach(url: string): string;
  /** Connects or disconnects everything given out by `reach()`. */
  net(state: "up" | "down"): Promise<void>;

  /** Number of the system profile's current generation; undefined before the first. */
  generation(): Promise<number | undefined>;
  /** The store path that the system profile points to. */
  profileSystem(): Promise<string | undefined>;
  /** Where `/run/booted-system` points to. */
  bootedSystem(): Promise<string | undefined>;
  /** Where `/run/current-system` points to. */
  currentSystem(): Promise<string | undefined>;
  /** The system that the boot loader starts next. */
  bootDefault(): Promise<string | undefined>;
  switchLog(): Promise<SwitchCall[]>;

  /** Ends everything and leaves nothing behind. */
  dispose(): Promise<void>;
}

/** Where the device's system profile is. */
export const SYSTEM_PROFILE = "/nix/var/nix/profiles/system";

/** Reads `/var/log/switch.log`, one call a line: `SECONDS ACTION STORE_PATH pid=N`. */
export function parseSwitchLog(text: string): SwitchCall[] {
  return text.split("\n").filter((line) => line !== "").map((line) => {
    const [at, action, storePath] = line.split(" ");
    if (storePath === undefined) throw new Error(`Cannot read the line "${line}" of the switch log`);
    return { atSeconds: Number(at), action: action as SwitchCall["action"], storePath };
  });
}

/** The number in a profile's link target such as "system-42-link". */
export function parseGenerationLink(target: string): number | undefined {
  const digits = /^system-(\d+)-link$/.exec(target)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/** The name of the default entry in systemd-boot's `loader.conf`. */
export function parseLoaderDefault(text: string): string | undefined {
  return /^default\s+(\S+)$/m.exec(text)?.[1];
}

/** The system whose `init` a boot loader entry names. */
export function parseEntrySystem(text: string): string | undefined {
  return /^options\s.*?\binit=(\S+)\/init(?:\s|$)/m.exec(text)?.[1];
}
