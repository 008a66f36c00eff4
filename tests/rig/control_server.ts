/**
 * The control server as a process, the operator who talks to it, and the attacker who has stolen its database.
 * @module
 */
import { DatabaseSync } from "node:sqlite";
import { DeviceRow, operatorPaths } from "@nix-ota/common";
import { type Running, startProgram } from "./programs.ts";
import { pause } from "./wait.ts";

/** The server's database in its data folder. */
export const DATABASE_NAME = "nix-ota.sqlite";
/** How long the server gets to answer after its start. */
const START_LIMIT_MS = 30_000;
const POLL_MS = 50;

/** The server as a process that can be stopped and started again on the same data. */
export class ControlServer implements AsyncDisposable {
  readonly url: string;
  readonly #folder: string;
  readonly #listen: string;
  readonly #flags: readonly string[];
  #process: Running | null = null;

  /** `folder` is where the data is to be; `flags` are more of the server's own. */
  constructor({ folder, port, flags = [] }: { folder: string; port: number; flags?: readonly string[] }) {
    this.#folder = folder;
    this.#listen = `127.0.0.1:${port}`;
    this.#flags = flags;
    this.url = `http://${this.#listen}`;
  }

  /** Where the server keeps its data. */
  get dataDir(): string {
    return `${this.#folder}/server`;
  }

  /** The file with the token that may publish. */
  get tokenFile(): string {
    return `${this.dataDir}/publish-token`;
  }

  /** Starts the server and waits until it is ready. @throws {Error} With its log if it does not get ready. */
  async start(): Promise<void> {
    const place = ["--listen", this.#listen, "--data-dir", this.dataDir];
    this.#process = startProgram("nix-ota-server", [...place, "--poll-seconds", "5", ...this.#flags]);
    const deadline = performance.now() + START_LIMIT_MS;
    while (!await this.#isReady()) {
      if (performance.now() > deadline || !this.#process.isRunning()) {
        throw new Error(`the server did not get ready: ${this.log().slice(-2000)}`);
      }
      await pause(POLL_MS);
    }
  }

  /** Stops it gracefully, or kills it. */
  async stop(signal: "SIGTERM" | "SIGKILL" = "SIGTERM"): Promise<void> {
    await this.#process?.stop(signal);
    this.#process = null;
  }

  /** Everything it wrote since its last start. */
  log(): string {
    return this.#process?.log() ?? "";
  }

  /** The device as an operator sees it, or null before it enrolled. */
  async device(name: string): Promise<DeviceRow | null> {
    const response = await fetch(`${this.url}${operatorPaths.device(name)}`);
    if (response.status === 404) {
      await response.body?.cancel();
      return null;
    }
    return DeviceRow(await response.json(), "device");
  }

  /** Polls until the device is as wanted. @throws {Error} With what was seen last when the time is up. */
  async waitForDevice(name: string, { until, limitMs }: {
    until: (device: DeviceRow) => boolean;
    limitMs: number;
  }): Promise<DeviceRow> {
    const deadline = performance.now() + limitMs;
    for (;;) {
      const device = await this.device(name);
      if (device !== null && until(device)) return device;
      if (performance.now() > deadline) {
        const seen = device === null
          ? "no such device"
          : `${device.standing}, ${device.state?.phase ?? "no check-in yet"}, ` +
            `${device.state?.result ?? "no result"}, ${device.state?.reason ?? "no reason"}`;
        throw new Error(`nothing more happened within ${limitMs / 1000} s; last seen: ${seen}`);
      }
      await pause(POLL_MS);
    }
  }

  /** What a thief of the server can do: change its database behind its back. Stops it and starts it again. */
  async attack(change: (database: DatabaseSync) => void): Promise<void> {
    await this.stop();
    const database = new DatabaseSync(`${this.dataDir}/${DATABASE_NAME}`);
    try {
      change(database);
    } finally {
      database.close();
    }
    await this.start();
  }

  async #isReady(): Promise<boolean> {
    try {
      const response = await fetch(`${this.url}/readyz`);
      await response.body?.cancel();
      return response.ok;
    } catch {
      return false; // Not listening yet.
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

/** A port that nobody listens on right now. */
export function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return (listener.addr as Deno.NetAddr).port; // A TCP listener's address is a NetAddr.
}
