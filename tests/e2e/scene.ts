/** One device with the factory's system on it, one server, one cache that can misbehave, and the agent as a real process. */

import type { DeviceRow, Substituter } from "@nix-ota/common";
import { parseJournal } from "../../agent/journal.ts";
import type { Situation } from "../../agent/state.ts";
import { type CacheServer, startCacheServer } from "../rig/cache_server.ts";
import { ControlServer, freePort } from "../rig/control_server.ts";
import type { DeviceProcess, PowerCutOptions } from "../rig/device.ts";
import { installFactorySystem } from "../rig/factory.ts";
import { createNamespaceDevice, type NamespaceDevice } from "../rig/namespace_device.ts";
import { commandLine, type Finished } from "../rig/programs.ts";
import { pause } from "../rig/wait.ts";
import type { Depot, Stocked } from "./depot.ts";
import { CHANNEL, headDigest, postRelease, type ReleaseSpec, signRelease } from "./release.ts";

/** How a scene differs from the ordinary. */
export type SceneOptions<Name extends string> = {
  /** What the device runs at first. */
  factory: Name;
  /** Host directory of the cache that the scene serves; the depot's unless told. */
  cacheDir?: string;
  /** Size of the device's /nix in bytes; as much as the host's memory bears unless told. */
  storeBytes?: number;
  /** Further flags of the server, over `--enrolment open`. */
  serverFlags?: readonly string[];
  /** Further keys of the agent's configuration. */
  agent?: Readonly<Record<string, unknown>>;
  /** Options of Nix that the device's own are overruled by, whatever the agent asks for, such as shorter time limits. */
  nixOptions?: readonly string[];
  /** A line of shell that is run before one of Nix' programs, by its name. */
  beforeNix?: Partial<Record<NixProgram, string>>;
};

/** What the agent calls of Nix. */
type NixProgram = "nix" | "nix-env" | "nix-store";

/** What the device does at this moment, seen from outside the agent. */
export type DeviceSight = {
  current: string | undefined;
  profile: string | undefined;
  bootDefault: string | undefined;
};

/** The device's name on the server. */
export const DEVICE = "fridge-007";
/** Where the agent keeps its state in the device. */
export const STATE_DIR = "/nix/var/nix-ota";
/** Where the agent keeps its GC roots in the device. */
export const ROOTS_DIR = "/nix/var/nix/gcroots/nix-ota";
/** The factory and the agent's check-ins may take this long before anything is wrong. */
const WAIT_MS = 40_000;
const POLL_MS = 50;
/** How much of the agent's log is shown when something does not come. */
const LOG_CHARS = 6_000;
const CONFIG_FILE = "/etc/nix-ota/agent.json";
/** Where the agent finds Nix. */
const NIX_DIR = "/rig/agent-bin";
/** Of this boot, as namespaces share the kernel's own. */
const BOOT_ID_FILE = "/run/boot-id";

/** See above. Everything in it ends with it. */
export class Scene<Name extends string> implements AsyncDisposable {
  readonly depot: Depot<Name>;
  readonly device: NamespaceDevice;
  readonly control: ControlServer;
  readonly cache: CacheServer;
  readonly #parts: AsyncDisposableStack;
  readonly #lives: DeviceProcess[] = [];
  #agent: DeviceProcess | undefined;
  #revision = 0;

  private constructor(
    parts: AsyncDisposableStack,
    { depot, device, control, cache }: Pick<Scene<Name>, "depot" | "device" | "control" | "cache">,
  ) {
    this.#parts = parts;
    this.depot = depot;
    this.device = device;
    this.control = control;
    this.cache = cache;
  }

  /** Makes everything and starts the server; the agent is configured and not started. */
  static async open<Name extends string>(
    depot: Depot<Name>,
    options: SceneOptions<NoInfer<Name>>,
  ): Promise<Scene<Name>> {
    await using parts = new AsyncDisposableStack();
    const folder = await Deno.makeTempDir({ dir: depot.folder });
    const flags = ["--public-key", depot.publicKey, "--enrolment", "open", ...options.serverFlags ?? []];
    const control = parts.use(new ControlServer({ folder, port: freePort(), flags }));
    const cache = parts.use(startCacheServer({ dir: options.cacheDir ?? depot.cacheDir }));
    const { storeBytes } = options;
    const size = storeBytes === undefined ? {} : { storeBytes };
    const device = parts.use(await createNamespaceDevice({ tools: depot.tools, ...size }));
    await Promise.all([
      control.start(),
      installFactorySystem(device, {
        system: depot.systems[options.factory],
        cacheUrl: `file://${depot.cacheDir}`,
        cacheKey: depot.cacheKey,
      }),
    ]);
    await device.writeText(BOOT_ID_FILE, `${crypto.randomUUID()}\n`);
    const scene = new Scene(parts.move(), { depot, device, control, cache });
    await wrapNix(device, options);
    await scene.configure({ nixBinDir: NIX_DIR, ...options.agent });
    return scene;
  }

  /** Writes the agent's configuration; it is read at the agent's next start. */
  async configure(more: Readonly<Record<string, unknown>>): Promise<void> {
    const config = {
      server: this.device.reach(this.control.url),
      channel: CHANNEL,
      deviceId: DEVICE,
      publicKey: this.depot.publicKey,
      healthCmd: "/run/current-system/sw/bin/health-check",
      bootIdFile: BOOT_ID_FILE,
      pollSeconds: 5,
      reserveMiB: 0, // Or the host's disk, whatever it is, would decide.
      allowHttp: true, // Loopback only; devices in the field use https.
      ...more,
    };
    await this.device.writeText(CONFIG_FILE, JSON.stringify(config));
  }

  /** The agent's log so far, over all its lives. */
  get agentLog(): string {
    return this.#lives.map((life) => life.stdout() + life.stderr()).join("-- started again\n");
  }

  async startAgent(): Promise<void> {
    const argv = commandLine("nix-ota-agent", ["run", "--config", CONFIG_FILE]);
    this.#agent = await this.device.spawn(argv, { env: this.depot.env });
    this.#lives.push(this.#agent);
  }

  /** Ends the agent, and waits until it is gone. Its children go on. */
  async stopAgent(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    await this.#agent?.kill(signal);
    await this.#agent?.ended;
    this.#agent = undefined;
  }

  /** Runs one command of the agent's to its end. */
  async agent(...args: readonly string[]): Promise<Finished> {
    const argv = commandLine("nix-ota-agent", [...args, "--config", CONFIG_FILE]);
    return await this.device.exec(argv, { env: { ...this.depot.env } });
  }

  /** Runs a command of `nix-ota` on the machine that builds, with the server and its publish token. */
  async operator(...args: readonly string[]): Promise<Finished> {
    const { control, depot } = this;
    const connection = ["--server", control.url, "--token-file", control.tokenFile];
    return await depot.ci.exec(commandLine("nix-ota", [...args, ...connection]), { env: { ...depot.env } });
  }

  /** Shuts the device down and boots it; the agent does not come back by itself. */
  async reboot(): Promise<void> {
    await this.device.reboot();
    await this.#booted();
  }

  /** Pulls the plug and puts it in again; the agent does not come back by itself. */
  async powerCut(options?: PowerCutOptions): Promise<void> {
    await this.device.powerCut(options);
    await this.device.start();
    await this.#booted();
  }

  async #booted(): Promise<void> {
    this.#agent = undefined;
    await this.device.writeText(BOOT_ID_FILE, `${crypto.randomUUID()}\n`);
  }

  /** The cache of the scene as a release names it. */
  get substituter(): Substituter {
    return { url: this.cache.url, keys: [this.depot.cacheKey.publicKey.trim()] };
  }

  /** Publishes a system of the depot, signed, under the next revision. */
  async publish(name: Name, changes: Partial<ReleaseSpec> = {}): Promise<{ revision: number; digest: string }> {
    const release = await signRelease(this.depot.signer, {
      system: this.system(name),
      revision: this.#revision + 1,
      prev: await headDigest(this.control),
      substituters: [this.substituter],
      ...changes,
    });
    await postRelease(this.control, release);
    this.#revision = release.revision;
    return { revision: release.revision, digest: release.digest };
  }

  system(name: Name): Stocked {
    return this.depot.systems[name];
  }

  /** The device as its operator sees it, once it is as wanted. @throws {Error} With what was seen when the time is up. */
  async waitFor(what: string, until: (row: DeviceRow) => boolean, limitMs: number = WAIT_MS): Promise<DeviceRow> {
    try {
      return await this.control.waitForDevice(DEVICE, { until, limitMs });
    } catch (cause) {
      throw new Error(
        `Cannot see ${what}: ${(cause as Error).message}\nThe agent said:\n${this.agentLog.slice(-LOG_CHARS)}`,
        { cause },
      );
    }
  }

  /** Waits until the operator sees how a revision ended on the device. */
  async ended(revision: number, limitMs?: number): Promise<NonNullable<DeviceRow["state"]>> {
    const row = await this.waitFor(
      `the end of revision ${revision}`,
      ({ state }) => state?.phase === "idle" && state.target?.revision === revision && state.result !== null,
      limitMs,
    );
    if (row.state === null) throw new Error("Cannot come here: the row was waited for with its state");
    return row.state;
  }

  /** Waits until the device runs a system, with the profile and the boot loader behind it, and the operator knows. */
  async converged(name: Name, limitMs?: number): Promise<void> {
    const { storePath } = this.system(name);
    await this.waitFor(
      `the device on ${name}`,
      ({ state }) => state?.phase === "idle" && state.running === storePath && state.profile === storePath,
      limitMs,
    );
  }

  /** What the device does, by looking. */
  async sight(): Promise<DeviceSight> {
    const { device } = this;
    const [current, profile, bootDefault] = await Promise.all([
      device.currentSystem(),
      device.profileSystem(),
      device.bootDefault(),
    ]);
    return { current, profile, bootDefault };
  }

  /** What the device does when it is entirely on one system. */
  sightOf(name: Name): DeviceSight {
    const { storePath } = this.system(name);
    return { current: storePath, profile: storePath, bootDefault: storePath };
  }

  /** The agent's journal, read by the agent's own reader. Undefined before the first. @throws Where it cannot be read. */
  async journal(): Promise<Situation | undefined> {
    const text = await this.device.readText(`${STATE_DIR}/journal.json`);
    return text === undefined ? undefined : await parseJournal(new TextEncoder().encode(text));
  }

  /** Where the agent's GC roots lead, by their names. */
  async roots(): Promise<Record<string, string>> {
    const script = `cd ${ROOTS_DIR} 2> /dev/null || exit 0; for link in *; do
[ ! -L "$link" ] || echo "$link $(readlink "$link")"; done`;
    const listed = await this.device.output(["sh", "-c", script]);
    return Object.fromEntries(listed.trim().split("\n").filter(Boolean).map((line) => line.split(" ")));
  }

  /** Whether every path of a closure is in the device's store. */
  async holds(name: Name): Promise<boolean> {
    const { code } = await this.device.exec(["nix-store", "--check-validity", ...this.system(name).paths]);
    return code === 0;
  }

  /** Whether every file of a closure is what it was. */
  async isWhole(name: Name): Promise<boolean> {
    const { code } = await this.device.exec(["nix-store", "--verify-path", ...this.system(name).paths]);
    return code === 0;
  }

  /** Polls the device, not the server. @throws {Error} When the time is up. */
  async seen(what: string, condition: () => Promise<boolean>, limitMs: number = WAIT_MS): Promise<void> {
    for (const deadline = performance.now() + limitMs; !await condition(); await pause(POLL_MS)) {
      if (performance.now() < deadline) continue;
      throw new Error(`Cannot see ${what} within ${limitMs} ms; the agent said:\n${this.agentLog.slice(-LOG_CHARS)}`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#parts.disposeAsync();
  }
}

/** Puts a Nix in the device that does as a scene wants it to. */
async function wrapNix(
  device: NamespaceDevice,
  { nixOptions = [], beforeNix = {} }: Pick<SceneOptions<never>, "nixOptions" | "beforeNix">,
): Promise<void> {
  for (const name of ["nix", "nix-env", "nix-store"] as const) {
    const script = `#!/bin/sh\n${beforeNix[name] ?? ""}\nexec /rig/bin/${name} "$@" ${nixOptions.join(" ")}\n`;
    await device.writeText(`${NIX_DIR}/${name}`, script);
  }
  await device.output(["sh", "-c", `chmod +x ${NIX_DIR}/*`]);
}
