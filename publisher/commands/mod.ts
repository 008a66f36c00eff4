/**
 * Every command, in the order of the help.
 * @module
 */
import type { CommandSpec } from "../context.ts";
import { inspect } from "./inspect.ts";
import { keygen } from "./keygen.ts";
import { publish } from "./publish.ts";
import { verify } from "./verify.ts";

/** Every command. */
export const COMMANDS: readonly CommandSpec[] = [keygen, publish, verify, inspect];
