/**
 * nix-ota-agent: keeps a device on the system that its fleet's keys signed. See `--help`.
 * @module
 */
import { createLog, encodeUtf8, messageOf } from "@nix-ota/common";
import { EXIT, HELP, type Invocation, parseCommandLine, UsageError } from "./cli.ts";
import {
  type CommandDeps,
  onceCommand,
  requestCommand,
  rollbackCommand,
  runCommand,
  statusCommand,
} from "./commands.ts";
import { ConfigError, readConfig, showConfig, systemOf } from "./config.ts";
import { createDenoSystem } from "./system_deno.ts";
import type { System } from "./system.ts";
import { unreachable } from "@nix-ota/common";
import { AGENT_VERSION } from "./version.ts";

function print(text: string): void {
  Deno.stdout.writeSync(encodeUtf8(`${text}\n`));
}

function complain(text: string): void {
  Deno.stderr.writeSync(encodeUtf8(`nix-ota-agent: ${text}\n`));
}

async function perform(invocation: Invocation, system: System, stop: AbortSignal): Promise<number> {
  switch (invocation.kind) {
    case "help":
      print(HELP.trimEnd());
      return EXIT.ok;
    case "version":
      print(`nix-ota-agent ${AGENT_VERSION}`);
      return EXIT.ok;
    case "check-config":
    case "command":
      break;
    default:
      return unreachable(invocation);
  }
  const defaults = { hostName: system.hostName(), system: systemOf(Deno.build.arch) };
  const config = await readConfig(system.files, invocation.configPath, defaults);
  const deps: CommandDeps = { system, config, stop, print };
  if (invocation.kind === "check-config") {
    print(showConfig(config));
    return EXIT.ok;
  }
  switch (invocation.command) {
    case "run":
      return await runCommand(deps);
    case "once":
      return await onceCommand(deps);
    case "status":
      return await statusCommand(deps, invocation.json);
    case "rollback":
      return await rollbackCommand(deps);
    case "retry":
    case "check-now":
      return await requestCommand(deps, invocation.command);
    default:
      return unreachable(invocation.command);
  }
}

function exitCodeFor(error: unknown): number {
  if (error instanceof UsageError) return EXIT.usage;
  return error instanceof ConfigError ? EXIT.config : EXIT.failed;
}

async function main(): Promise<number> {
  const log = createLog({ write: (line) => void Deno.stderr.writeSync(encodeUtf8(line)), now: Date.now });
  const stopping = new AbortController();
  const stop = () => stopping.abort();
  Deno.addSignalListener("SIGTERM", stop);
  Deno.addSignalListener("SIGINT", stop);
  try {
    return await perform(parseCommandLine(Deno.args), createDenoSystem(log), stopping.signal);
  } catch (error) {
    complain(messageOf(error));
    return exitCodeFor(error);
  }
}

if (import.meta.main) Deno.exit(await main());
