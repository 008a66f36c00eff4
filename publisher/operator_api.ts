/**
 * The operator API: the fleet, its devices and releases.
 * @module
 */
import {
  DevicePage,
  DeviceRow,
  Fleet,
  operatorPaths,
  PAGE_MAX,
  ReleasePage,
  ReleaseProgress,
  type ReleaseRow,
  type Standing,
} from "@nix-ota/common";
import { type Api, postOperator, readOperator } from "./api.ts";
import { CliError, EXIT } from "./errors.ts";

/** Most devices that are listed: a hundred pages of {@link PAGE_MAX}. */
export const DEVICES_MAX = 100 * PAGE_MAX;

/** The whole fleet at a glance. @throws {CliError} */
export function readFleet(api: Api): Promise<Fleet> {
  return readOperator(api, operatorPaths.fleet, { parser: Fleet, doing: "read the fleet" });
}

/** Every device that fits, by name, at most {@link DEVICES_MAX}. @throws {CliError} */
export async function readDevices(
  api: Api,
  { channel, standing }: { channel: string | null; standing: Standing | null },
): Promise<readonly DeviceRow[]> {
  const devices: DeviceRow[] = [];
  let after: string | null = null;
  do {
    const path = `${operatorPaths.devices}?${query({ channel, standing, after, limit: PAGE_MAX })}`;
    const page: DevicePage = await readOperator(api, path, { parser: DevicePage, doing: "read the devices" });
    devices.push(...page.devices);
    if (page.next !== null && after !== null && page.next <= after) throw endless();
    after = page.next;
  } while (after !== null && devices.length < DEVICES_MAX);
  return devices;
}

function endless(): CliError {
  return new CliError(EXIT.serverUnreachable, "Cannot read the devices as the server's pages go round in a circle", {
    code: "server_answer_invalid",
  });
}

/** One device. @throws {CliError} */
export function readDevice(api: Api, deviceId: string): Promise<DeviceRow> {
  return readOperator(api, operatorPaths.device(deviceId), {
    parser: DeviceRow,
    doing: `read the device "${deviceId}"`,
  });
}

/** Lets a device in, or keeps it out; the fingerprint says which key is meant. @throws {CliError} */
export function decideDevice(
  api: Api,
  deviceId: string,
  { decision, fingerprint }: { decision: "accept" | "reject"; fingerprint: string },
): Promise<DeviceRow> {
  const path = decision === "accept" ? operatorPaths.accept(deviceId) : operatorPaths.reject(deviceId);
  return postOperator(api, path, {
    parser: DeviceRow,
    doing: `${decision} the device "${deviceId}"`,
    body: { fingerprint },
  });
}

/** The newest releases, newest first. @throws {CliError} */
export async function readReleases(
  api: Api,
  { channel, before, limit }: { channel: string | null; before: number | null; limit: number },
): Promise<readonly ReleaseRow[]> {
  const path = `${operatorPaths.releases}?${query({ channel, before, limit })}`;
  return (await readOperator(api, path, { parser: ReleasePage, doing: "read the releases" })).releases;
}

/** How a release is doing on its devices. @throws {CliError} */
export function readProgress(
  api: Api,
  { channel, revision }: { channel: string; revision: number },
): Promise<ReleaseProgress> {
  return readOperator(api, operatorPaths.progress(channel, revision), {
    parser: ReleaseProgress,
    doing: `read the progress of revision ${revision} on channel "${channel}"`,
  });
}

function query(values: Readonly<Record<string, string | number | null>>): string {
  const given = Object.entries(values).filter(([, value]) => value !== null);
  return new URLSearchParams(given.map(([key, value]) => [key, String(value)])).toString();
}
