/**
 * systemd's command lines and what they print, pure.
 * @module
 */
import { cleanLine } from "@nix-ota/common";

/** The transient unit of an activation: a switch stops the agent's own unit, never this one. */
export const APPLY_UNIT = "nix-ota-apply.service";
/** Most failed units that are reported. */
const FAILED_UNITS_MAX = 32;

/** Starts a command in {@link APPLY_UNIT}; fails where it runs already. */
export function systemdRunArgv({ systemdRun, argv, env, timeoutSeconds }: {
  systemdRun: string;
  argv: readonly string[];
  env: Readonly<Record<string, string>>;
  timeoutSeconds: number;
}): readonly string[] {
  const set = Object.entries(env).map(([name, value]) => `--setenv=${name}=${value}`);
  return [
    systemdRun,
    `--unit=${APPLY_UNIT}`,
    "--description=nix-ota: activates a system",
    "--collect",
    "--quiet",
    "--no-ask-password",
    "--service-type=exec",
    "--property=KillMode=control-group",
    `--property=RuntimeMaxSec=${timeoutSeconds}`,
    "--working-directory=/",
    ...set,
    "--",
    // systemd puts variables into command lines, and reads $$ as $.
    ...argv.map((arg) => arg.replaceAll("$", "$$$$")),
  ];
}

/** Kills everything in {@link APPLY_UNIT}: a lock that a child inherited goes with it. */
export function killUnitArgv(systemctl: string): readonly string[] {
  return [systemctl, "kill", "--signal=SIGKILL", APPLY_UNIT];
}

/** Whether {@link APPLY_UNIT} runs; see {@link parseActive}. */
export function isActiveArgv(systemctl: string): readonly string[] {
  return [systemctl, "is-active", APPLY_UNIT];
}

/** Reads the answer of {@link isActiveArgv}. */
export function parseActive(stdout: string): boolean {
  return ["active", "activating", "deactivating", "reloading"].includes(stdout.trim());
}

/** Restarts the machine. */
export function rebootArgv(systemctl: string): readonly string[] {
  return [systemctl, "--no-ask-password", "reboot"];
}

/** Lists failed units; see {@link parseFailedUnits}. */
export function failedUnitsArgv(systemctl: string): readonly string[] {
  return [systemctl, "list-units", "--state=failed", "--plain", "--no-legend", "--no-pager", "--full"];
}

/** Names of failed units, sorted. */
export function parseFailedUnits(stdout: string): readonly string[] {
  const names = stdout.split("\n").map((line) => line.replace(/^[●*\s]+/, "").split(/\s+/)[0] ?? "");
  return names.filter((name) => name.includes(".")).map((name) => cleanLine(name, 256)).sort().slice(
    0,
    FAILED_UNITS_MAX,
  );
}

/** Whether the clock was set from a time source; see {@link parseClockSynced}. */
export function clockArgv(timedatectl: string): readonly string[] {
  return [timedatectl, "show", "--property=NTPSynchronized", "--value"];
}

/** Reads the answer of {@link clockArgv}; what cannot be told counts as set, so that expiry is not switched off. */
export function parseClockSynced(stdout: string): boolean {
  return stdout.trim() !== "no";
}
