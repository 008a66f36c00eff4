/**
 * What every effect needs: the configuration, the machine and the programs found on it.
 * @module
 */
import type { Config } from "./config.ts";
import type { NixCall, Tools } from "./nix.ts";
import type { AgentPaths } from "./paths.ts";
import type { Ran, System } from "./system.ts";

/** See above. */
export interface Context {
  readonly config: Config;
  readonly paths: AgentPaths;
  readonly system: System;
  readonly tools: Tools;
  /** Fires when the agent is to stop. */
  readonly stop: AbortSignal;
}

/** Certificates, proxies and locale, which a machine tells its services through the environment. */
const PASSED_ON = [
  "NIX_SSL_CERT_FILE",
  "SSL_CERT_FILE",
  "CURL_CA_BUNDLE",
  "LOCALE_ARCHIVE",
  "TZDIR",
  "http_proxy",
  "https_proxy",
  "all_proxy",
  "no_proxy",
] as const;

/** Where programs are found: those of the running NixOS, then those of other systems. */
export const PROGRAM_DIRS = [
  "/run/wrappers/bin",
  "/run/current-system/sw/bin",
  "/nix/var/nix/profiles/default/bin",
  "/usr/local/bin",
  "/usr/bin",
  "/bin",
  "/usr/sbin",
  "/sbin",
] as const;

/** The environment of every program: nothing of the agent's own leaks in but {@link PASSED_ON}. */
export function programEnv({ system, paths }: Pick<Context, "system" | "paths">): Record<string, string> {
  const passed = PASSED_ON.flatMap((name) => {
    const value = system.env(name);
    return value === null ? [] : [[name, value] as const];
  });
  return { PATH: PROGRAM_DIRS.join(":"), HOME: paths.home, LANG: "C.UTF-8", ...Object.fromEntries(passed) };
}

/** A call of Nix under the configuration. */
export function nixCall({ tools, config }: Pick<Context, "tools" | "config">): NixCall {
  return { tools, store: config.store };
}

/** Runs a program in the usual environment; it is killed when the agent is to stop, unless another signal is given. */
export function runProgram(
  context: Pick<Context, "system" | "paths" | "stop">,
  argv: readonly string[],
  options: { timeoutMs: number; signal?: AbortSignal; onStderrLine?: (line: string) => void },
): Promise<Ran> {
  return context.system.run({ argv, env: programEnv(context), signal: context.stop, ...options });
}
