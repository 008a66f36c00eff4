/**
 * The program: command line to exit code.
 * @module
 */
import { createLog, formatBytes, type Log, messageOf } from "@nix-ota/common";
import { isLoopback } from "./access.ts";
import { backUp } from "./backup.ts";
import { type Config, configuredKeys, parseConfig, parseConfigFile } from "./config.ts";
import type { App, AppDeps } from "./deps.ts";
import { type Command, helpText, parseArgs } from "./flags.ts";
import { readTokens, type RunningServer, startServer } from "./start.ts";
import { VERSION } from "./version.ts";

/** Exit codes. */
export const EXIT = { done: 0, failed: 1, usage: 2 } as const;

/** The outside of the program. */
export interface CliIo {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** Resolves when the program is asked to stop. */
  readonly untilStopped: () => Promise<void>;
}

/** Runs the program to its end; the answer is its exit code. */
export async function runCli(
  args: readonly string[],
  io: CliIo,
  mountPages: (app: App, deps: AppDeps) => void,
): Promise<number> {
  let command: Command;
  let config: Config;
  try {
    command = parseArgs(args);
    if (command.kind === "help" || command.kind === "version") {
      io.out(command.kind === "help" ? helpText() : `nix-ota-server ${VERSION}\n`);
      return EXIT.done;
    }
    config = readConfig(command);
    if (command.kind === "check") return checkConfig(config, io);
  } catch (error) {
    io.err(`nix-ota-server: ${messageOf(error)}\n`);
    return EXIT.usage;
  }
  try {
    if (command.kind !== "backup") return await serve(config, io, mountPages);
    const bytes = await backUp(config.dataDir, command.file);
    io.out(`Backed up ${formatBytes(bytes)} to ${command.file}\n`);
    return EXIT.done;
  } catch (error) {
    io.err(`nix-ota-server: ${messageOf(error)}\n`);
    return EXIT.failed;
  }
}

function readConfig({ configPath, settings }: Exclude<Command, { kind: "help" | "version" }>): Config {
  if (configPath === null) return parseConfig(settings);
  let text: string;
  try {
    text = Deno.readTextFileSync(configPath);
  } catch (cause) {
    const why = cause instanceof Deno.errors.NotFound ? "it does not exist" : messageOf(cause);
    throw new TypeError(`Cannot read the configuration file "${configPath}": ${why}`, { cause });
  }
  return parseConfig({ ...parseConfigFile(text, configPath), ...settings });
}

/** Looks at the files that the configuration names as well: a mistyped path is found before a deployment, not after. */
function checkConfig(config: Config, io: CliIo): number {
  const { publishTokenFile, enrolTokenFile } = config;
  if (publishTokenFile !== null) readTokens(publishTokenFile, "the publish token file");
  if (enrolTokenFile !== null) readTokens(enrolTokenFile, "the enrolment token file");
  io.out("The configuration is valid\n");
  return EXIT.done;
}

async function serve(config: Config, io: CliIo, mountPages: (app: App, deps: AppDeps) => void): Promise<number> {
  const log = createLog({ write: io.err, now: Date.now, least: config.logLevel });
  const died = Promise.withResolvers<Error>();
  const server = await startServer({ config, log, mountPages, onFatal: died.resolve });
  io.out(welcome(config, server));
  log("info", "server_started", { version: VERSION, fleet: config.fleet, port: server.listener.port });
  const error = await Promise.race([died.promise, io.untilStopped()]);
  if (error instanceof Error) {
    log("error", "server_failed", { error: messageOf(error) });
    return EXIT.failed;
  }
  return await stop(server, log);
}

async function stop(server: RunningServer, log: Log): Promise<number> {
  log("info", "server_stopping");
  await server.stop();
  log("info", "server_stopped");
  return EXIT.done;
}

/** What a newcomer needs to go on; never a secret. */
function welcome(config: Config, { listener, publishToken, deps }: RunningServer): string {
  const { hostname, port } = listener;
  const own = `http://${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`;
  const url = config.publicUrl ?? own;
  const keys = configuredKeys(config) ?? deps.trustKeys.known();
  return `nix-ota-server ${VERSION}, fleet "${config.fleet}", data in ${config.dataDir}

  Listening on   ${own}
  Dashboard      ${url}/
  Publish token  ${publishToken.path}${publishToken.isNew ? " (made now)" : ""}
  Release keys   ${
    keys === null ? "none yet: the first publish pins its own" : `${keys.threshold} of ${keys.keys.length} must sign`
  }
  Enrolment      ${ENROLMENT_WORDS[config.enrolment]}
${isExposed(config) ? EXPOSED : ""}
Make a key, then publish a system that is in a binary cache:
  nix-ota keygen --out ./sign.key
  nix-ota publish --server ${url} --token-file ${publishToken.path} --key ./sign.key \\
    --channel prod --store-path /nix/store/... --substituter https://cache.example.org

`;
}

const EXPOSED = `
  Others can reach this address and read what is sent to it, tokens too: put a reverse proxy with TLS before it, and
  say so with --behind-proxy.
`;

/** Whether tokens may travel a network in the clear. */
function isExposed({ listen: { hostname }, behindProxy }: Config): boolean {
  return !behindProxy && hostname !== "localhost" && !isLoopback(hostname);
}

const ENROLMENT_WORDS: Readonly<Record<Config["enrolment"], string>> = {
  approve: "approve: new devices wait until an operator accepts them",
  open: "open: new devices are accepted at once",
  token: "token: new devices need an enrolment token",
};
