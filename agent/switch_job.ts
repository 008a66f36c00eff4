/**
 * Runs `switch-to-configuration` so that it outlives the agent: in a transient unit where systemd runs, else as a
 * process group of its own. How it ended is read from a file that it leaves, so that the next life of the agent knows.
 * @module
 */
import { encodeUtf8, messageOf } from "@nix-ota/common";
import { type Context, PROGRAM_DIRS, programEnv, runProgram } from "./context.ts";
import type { SwitchEnd } from "./events.ts";
import { physicalPath } from "./paths.ts";
import type { SwitchJob } from "./recover.ts";
import { isActiveArgv, killUnitArgv, parseActive, systemdRunArgv } from "./systemd.ts";

/**
 * Appends all output to the log, and leaves the exit code in a file that is there whole or not at all. Arguments: the
 * program, its argument, the log, the exit file, the pid file.
 */
const RUNNER = 'exec >>"$3" 2>&1 </dev/null; echo "$$" >"$5"; "$1" "$2"; code=$?; ' +
  'echo "$code" >"$4.new" && mv -f "$4.new" "$4"';
/** Name of the runner in process lists; also tells its process apart from one that got its number later. */
const RUNNER_NAME = "nix-ota-apply";

/** How often the exit file is looked for: a tenth of the time that a quick switch takes. */
const POLL_MS = 50;
/** How often the job's process is looked for, which costs a call of systemctl where systemd runs. */
const ALIVE_EVERY_MS = 1_000;
/** How long a job may be invisible right after it was started. */
const START_GRACE_MS = 500;
/** How long is waited before an activation that found the lock taken is tried again. */
const BUSY_RETRY_MS = 5_000;
/** The log is cut when it is larger: a switch says some kilobytes. */
const LOG_MAX_BYTES = 4 * 1024 * 1024;
/** Longest time for starting or asking after the job. */
const CONTROL_MS = 30_000;
/** Longest time that a killed job is waited for: what hangs in the kernel does not die. */
const KILL_MS = 10_000;

/** Which system to activate, and how. */
export interface SwitchOrder {
  readonly storePath: string;
  readonly action: "switch" | "boot";
}

/** Forgets how the last job ended; to be done before a new trial is journalled. */
export async function clearSwitchJob({ system, paths }: Context): Promise<void> {
  await system.files.remove(paths.switchExit);
  await system.files.remove(paths.switchPid);
}

/** Runs a `switch-to-configuration` to its end or deadline; one that finds another activation running is tried again. */
export async function runSwitch(context: Context, order: SwitchOrder): Promise<SwitchEnd> {
  const { system, config, stop } = context;
  const deadlineMs = system.monotonicMs() + config.switchTimeoutSeconds * 1000;
  for (;;) {
    await clearSwitchJob(context);
    await startSwitch(context, order);
    const end = await awaitSwitch(context, deadlineMs);
    if (end.kind !== "exited" || end.code === 0 || !await foundLockTaken(context)) return end;
    if (system.monotonicMs() + BUSY_RETRY_MS > deadlineMs || stop.aborted) return { kind: "busy" };
    system.log("info", "activation waits for another one", { storePath: order.storePath });
    await system.sleep(BUSY_RETRY_MS, stop);
  }
}

async function startSwitch(context: Context, { storePath, action }: SwitchOrder): Promise<void> {
  const { config, paths, system, tools } = context;
  const program = `${physicalPath(config, storePath)}/bin/switch-to-configuration`;
  await system.files.append(paths.activationLog, encodeUtf8(`$ ${program} ${action}\n`), 0o600);
  const argv = [
    tools.sh,
    "-c",
    RUNNER,
    RUNNER_NAME,
    program,
    action,
    paths.activationLog,
    paths.switchExit,
    paths.switchPid,
  ];
  const env = { ...programEnv(context), HOME: "/root", PATH: PROGRAM_DIRS.join(":"), NIXOS_INSTALL_BOOTLOADER: "0" };
  if (tools.systemdRun === null) {
    await system.startDetached(argv, env);
    return;
  }
  const timeoutSeconds = config.switchTimeoutSeconds + 60; // A net below the agent's own deadline.
  const started = await runProgram(
    context,
    systemdRunArgv({ systemdRun: tools.systemdRun, argv, env, timeoutSeconds }),
    {
      timeoutMs: CONTROL_MS,
    },
  );
  if (started.code !== 0) {
    throw new Error(`Cannot start the activation: ${started.stderr.trim() || "systemd-run failed"}`);
  }
}

/** Waits for a job that runs; kills it at its deadline. */
export async function awaitSwitch(context: Context, deadlineMs: number): Promise<SwitchEnd> {
  const { system, stop } = context;
  const startMs = system.monotonicMs();
  let lookedMs = startMs;
  while (!stop.aborted) {
    const code = await exitCodeOf(context);
    if (code !== null) return { kind: "exited", code };
    const nowMs = system.monotonicMs();
    if (nowMs >= deadlineMs) {
      await killSwitch(context);
      return { kind: "timed-out" };
    }
    if (nowMs - lookedMs >= ALIVE_EVERY_MS) {
      lookedMs = nowMs;
      await capLog(context);
      // The code is looked for once more: the job may have ended between the two looks.
      if (!await isSwitchAlive(context)) {
        const late = await exitCodeOf(context);
        return late === null ? { kind: "vanished" } : { kind: "exited", code: late };
      }
    }
    await system.sleep(POLL_MS, stop);
  }
  return { kind: "vanished" }; // The agent stops; the next start looks.
}

/** What became of the job of an earlier life of the agent. */
export async function findSwitchJob(context: Context): Promise<SwitchJob> {
  const { system } = context;
  for (const waitMs of [0, START_GRACE_MS]) {
    await system.sleep(waitMs, context.stop);
    const code = await exitCodeOf(context);
    if (code !== null) return { kind: "exited", code };
    if (await isSwitchAlive(context)) return { kind: "running" };
  }
  const late = await exitCodeOf(context);
  return late === null ? { kind: "none" } : { kind: "exited", code: late };
}

/** Ends a job that still runs, and waits until it is gone: its lock and its unit's name are free then. */
export async function killSwitch(context: Context): Promise<void> {
  const { system, tools } = context;
  const deadlineMs = system.monotonicMs() + KILL_MS;
  while (await isSwitchAlive(context) && system.monotonicMs() < deadlineMs) {
    const pid = await switchPid(context);
    if (tools.systemctl !== null) {
      await runProgram(context, killUnitArgv(tools.systemctl), { timeoutMs: CONTROL_MS });
    }
    if (pid !== null) system.killGroup(pid);
    await system.sleep(POLL_MS);
  }
}

async function exitCodeOf({ system, paths }: Context): Promise<number | null> {
  const content = await system.files.read(paths.switchExit, 64).catch(() => null);
  const [digits] = content === null ? [] : /^\d{1,3}(?=\n$)/.exec(new TextDecoder().decode(content)) ?? [];
  return digits === undefined ? null : Number(digits);
}

async function isSwitchAlive(context: Context): Promise<boolean> {
  const { tools } = context;
  if (await switchPid(context) !== null) return true;
  if (tools.systemctl === null) return false;
  const ran = await runProgram(context, isActiveArgv(tools.systemctl), { timeoutMs: CONTROL_MS });
  return parseActive(ran.stdout);
}

/** The process id of the job's runner, if it lives and is the runner. */
async function switchPid({ system, paths }: Context): Promise<number | null> {
  const content = await system.files.read(paths.switchPid, 64).catch(() => null);
  const pid = Number(content === null ? NaN : new TextDecoder().decode(content).trim());
  if (!Number.isSafeInteger(pid) || pid <= 1) return null;
  const commandLine = await system.files.read(`/proc/${pid}/cmdline`, 64 * 1024).catch(() => null);
  if (commandLine === null) return null;
  const args = new TextDecoder().decode(commandLine).split("\0");
  return args.includes(RUNNER_NAME) && args.includes(paths.switchExit) ? pid : null;
}

/** Whether the activation gave up as another one holds NixOS' lock (nixpkgs#382797). */
async function foundLockTaken(context: Context): Promise<boolean> {
  return /Could not acquire lock/i.test(await activationLogOf(context));
}

async function capLog({ system, paths }: Context): Promise<void> {
  const facts = await system.files.stat(paths.activationLog);
  if (facts !== null && facts.sizeBytes > LOG_MAX_BYTES) await system.files.truncate(paths.activationLog);
}

/** The output of the last activation and health check. */
export async function activationLogOf({ system, paths }: Pick<Context, "system" | "paths">): Promise<string> {
  try {
    const content = await system.files.read(paths.activationLog, 2 * LOG_MAX_BYTES);
    return content === null ? "" : new TextDecoder().decode(content);
  } catch (error) {
    return `(the log cannot be read: ${messageOf(error)})`;
  }
}
