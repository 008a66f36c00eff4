/**
 * Where the agent keeps what.
 * @module
 */
import type { Config } from "./config.ts";

/** Files below the state directory and GC roots; see docs/operations.md. */
export interface AgentPaths {
  readonly lock: string;
  readonly deviceKey: string;
  readonly sequence: string;
  readonly status: string;
  readonly home: string;
  readonly requests: string;
  readonly rollbackRequest: string;
  readonly retryRequest: string;
  readonly checkRequest: string;
  /** Output of the last activation and health check. */
  readonly activationLog: string;
  readonly switchExit: string;
  readonly switchPid: string;
  /** GC roots: the closure that is fetched or on trial, the running one and the one before. */
  readonly rootNext: string;
  readonly rootCurrent: string;
  readonly rootPrevious: string;
  /** The stored envelope of a release. */
  release(digest: string): string;
  readonly releasesDir: string;
}

/** The agent's paths under a configuration. */
export function agentPaths({ stateDir, gcRootsDir }: Pick<Config, "stateDir" | "gcRootsDir">): AgentPaths {
  return {
    lock: `${stateDir}/lock`,
    deviceKey: `${stateDir}/device.key`,
    sequence: `${stateDir}/sequence.json`,
    status: `${stateDir}/status.json`,
    home: `${stateDir}/home`,
    requests: `${stateDir}/requests`,
    rollbackRequest: `${stateDir}/requests/rollback`,
    retryRequest: `${stateDir}/requests/retry`,
    checkRequest: `${stateDir}/requests/check-now`,
    activationLog: `${stateDir}/activation.log`,
    switchExit: `${stateDir}/switch.exit`,
    switchPid: `${stateDir}/switch.pid`,
    rootNext: `${gcRootsDir}/next`,
    rootCurrent: `${gcRootsDir}/current`,
    rootPrevious: `${gcRootsDir}/previous`,
    release: (digest) => `${stateDir}/releases/${digest.replace("sha256:", "")}.json`,
    releasesDir: `${stateDir}/releases`,
  };
}

/** Where a store path really is: below the root of a store that is not the machine's own. */
export function physicalPath({ store }: Pick<Config, "store">, storePath: string): string {
  return store?.startsWith("/") ? `${store}${storePath}` : storePath;
}
