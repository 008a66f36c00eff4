/** A device made of namespaces on the host's programs, with a Nix store, a boot loader and logs of its own. */

import type { NixTools } from "../../tools/nix_tools.ts";
import type { CommandResult } from "../../tools/run_command.ts";
import {
  type Device,
  type DeviceProcess,
  type ExecOptions,
  parseEntrySystem,
  parseGenerationLink,
  parseLoaderDefault,
  parseSwitchLog,
  type PowerCutOptions,
  type SwitchCall,
  SYSTEM_PROFILE,
} from "./device.ts";
import { NamespaceMachine } from "./namespace/machine.ts";
import { type NetGate, openNetGate } from "./net_gate.ts";

/** How a device is made. */
export type NamespaceDeviceOptions = {
  tools: NixTools;
  /** Such as "fridge-007"; "device" unless told. */
  name?: string;
  /** How many bytes fit into /nix, for a full disk; it is kept in memory. */
  storeBytes?: number;
  /** Keeps /nix on the host's disk instead. */
  isStoreOnDisk?: boolean;
  /** Host directory in which the device's disks are made; the one for temporary files unless told. */
  parentDir?: string;
};

/** A stopping service gets this long before SIGKILL; systemd's 90 s would only make tests slow. */
const SHUTDOWN_GRACE_MS = 3_000;

/** Running and booted system are roots on NixOS, and nothing else protects them. */
const SYSTEM_ROOTS = `mkdir -p /nix/var/nix/gcroots
ln -sfn /run/current-system /nix/var/nix/gcroots/current-system
ln -sfn /run/booted-system /nix/var/nix/gcroots/booted-system
nix-store --init`;

/**
 * Makes a device and switches it on; its store is empty.
 *
 * @throws {Error} When this user may not make namespaces.
 */
export async function createNamespaceDevice(options: NamespaceDeviceOptions): Promise<NamespaceDevice> {
  const { tools, storeBytes, isStoreOnDisk, parentDir } = options;
  const machine = await NamespaceMachine.create({ tools, role: "device", storeBytes, isStoreOnDisk, parentDir });
  try {
    await machine.boot();
    await machine.output(["sh", "-ec", SYSTEM_ROOTS]);
  } catch (cause) {
    await machine.dispose();
    throw cause;
  }
  return new NamespaceDevice(options.name ?? "device", machine);
}

/** See `Device`; what is more is for this kind of device only. */
export class NamespaceDevice implements Device {
  readonly name: string;
  readonly #machine: NamespaceMachine;
  readonly #gates = new Map<string, NetGate>();
  #net: "up" | "down" = "up";

  constructor(name: string, machine: NamespaceMachine) {
    this.name = name;
    this.#machine = machine;
  }

  exec(argv: readonly string[], options?: ExecOptions): Promise<CommandResult> {
    return this.#machine.exec(argv, options);
  }

  /** As `exec()`, and answers with what it printed. @throws {Error} If it fails. */
  output(argv: readonly string[], options?: ExecOptions): Promise<string> {
    return this.#machine.output(argv, options);
  }

  spawn(argv: readonly string[], options?: ExecOptions): Promise<DeviceProcess> {
    return this.#machine.spawn(argv, options);
  }

  copyIn(hostFile: string, path: string): Promise<void> {
    return this.#machine.copyIn(hostFile, path);
  }

  writeText(path: string, text: string): Promise<void> {
    return this.#machine.writeText(path, text);
  }

  readText(path: string): Promise<string | undefined> {
    return this.#ifFound(["cat", path]);
  }

  async start(): Promise<void> {
    await this.#machine.boot();
    const system = await this.bootDefault();
    if (system === undefined) return;
    const init = await this.#machine.exec([`${system}/init`]).catch((cause: Error) => ({
      code: -1,
      stderr: cause.message,
    }));
    if (await this.bootedSystem() === system) return;
    throw new Error(`Cannot boot "${system}": its init ended with ${init.code}: ${init.stderr.trim()}`);
  }

  async reboot(): Promise<void> {
    await this.#machine.shutDown(SHUTDOWN_GRACE_MS);
    await this.start();
  }

  async powerCut({ lose = [] }: PowerCutOptions = {}): Promise<void> {
    await this.#machine.kill();
    if (lose.length === 0) return;
    const result = await this.#machine.onDisks([
      "find",
      ...lose,
      "-type",
      "f",
      "-exec",
      "truncate",
      "-s",
      "0",
      "{}",
      "+",
    ]);
    if (result.code !== 0) {
      throw new Error(`Cannot lose the content of "${lose.join('", "')}": ${result.stderr.trim()}`);
    }
  }

  reach(url: string): string {
    const gate = this.#gates.get(url) ?? openNetGate(url);
    this.#gates.set(url, gate);
    if (this.#net === "down") void gate.set("down");
    return gate.url;
  }

  async net(state: "up" | "down"): Promise<void> {
    this.#net = state;
    await Promise.all([...this.#gates.values()].map((gate) => gate.set(state)));
  }

  async generation(): Promise<number | undefined> {
    const link = await this.#readLink(SYSTEM_PROFILE);
    return link === undefined ? undefined : parseGenerationLink(link);
  }

  async profileSystem(): Promise<string | undefined> {
    const number = await this.generation();
    return number === undefined ? undefined : await this.#readLink(`${SYSTEM_PROFILE}-${number}-link`);
  }

  bootedSystem(): Promise<string | undefined> {
    return this.#readRunLink("/run/booted-system");
  }

  currentSystem(): Promise<string | undefined> {
    return this.#readRunLink("/run/current-system");
  }

  async bootDefault(): Promise<string | undefined> {
    const entry = parseLoaderDefault(await this.readText("/boot/loader/loader.conf") ?? "");
    if (entry === undefined) return await this.profileSystem();
    return parseEntrySystem(await this.readText(`/boot/loader/entries/${entry}`) ?? "");
  }

  async switchLog(): Promise<SwitchCall[]> {
    return parseSwitchLog(await this.readText("/var/log/switch.log") ?? "");
  }

  async dispose(): Promise<void> {
    await Promise.all([...this.#gates.values()].map((gate) => gate.close()));
    await this.#machine.dispose();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }

  async #readRunLink(path: string): Promise<string | undefined> {
    if (!this.#machine.isOn) return undefined;
    const result = await this.#machine.exec(["readlink", path]);
    return result.code === 0 ? result.stdout.trim() : undefined;
  }

  async #readLink(path: string): Promise<string | undefined> {
    return (await this.#ifFound(["readlink", path]))?.trim();
  }

  async #ifFound(reading: readonly string[]): Promise<string | undefined> {
    const result = await this.#machine.onDisks(reading);
    return result.code === 0 ? result.stdout : undefined;
  }
}
