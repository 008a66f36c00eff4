/**
 * Every command, in the order of the help.
 * @module
 */
import type { CommandSpec } from "../context.ts";
import { devices, devicesAccept, devicesReject } from "./devices.ts";
import { inspect } from "./inspect.ts";
import { keygen } from "./keygen.ts";
import { publish } from "./publish.ts";
import { releases } from "./releases.ts";
import { status } from "./status.ts";
import { verify } from "./verify.ts";

/** Every command. */
export const COMMANDS: readonly CommandSpec[] = [
  keygen,
  publish,
  status,
  devices,
  devicesAccept,
  devicesReject,
  releases,
  verify,
  inspect,
];
