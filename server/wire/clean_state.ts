/** The state of a device made ready to be kept: its texts safe to show, and what counts as a change of it. */
import { createHash } from "node:crypto";
import { type Checkin, cleanLine, type DeviceState, type Enrol } from "@nix-ota/common";
import type { StateRecord } from "../store/jobs.ts";

/** Versions and the like. */
const SHORT_MAX = 64;
/** The longest sentence that a device may say. */
const DETAIL_MAX = 2048;

/** Free disk space counts as changed in steps of this part of the whole: it moves with every log line. */
const DISK_STEPS = 64;

function short(text: string | null): string | null {
  return text === null ? null : cleanLine(text, SHORT_MAX);
}

/** A state without control characters, terminal escapes and marks that turn text round. */
export function cleanState(state: DeviceState): DeviceState {
  return {
    ...state,
    reason: state.reason === null ? null : cleanLine(state.reason, 241),
    detail: state.detail === null ? null : cleanLine(state.detail, DETAIL_MAX),
    inhibitors: state.inhibitors.map((one) => cleanLine(one, 200)),
    failedUnits: state.failedUnits.map((one) => cleanLine(one, 256)),
    kernel: short(state.kernel),
    nixosVersion: short(state.nixosVersion),
    agent: cleanLine(state.agent, SHORT_MAX),
  };
}

/** A state as the writer keeps it. */
export function recordState(raw: Checkin["state"]): StateRecord {
  const state = cleanState(raw);
  const { phase, target, result, reason, running } = state;
  return {
    hash: hashOf(state),
    story: JSON.stringify({ phase, revision: target?.revision ?? null, result, reason, running }),
    phase,
    targetDigest: target?.digest ?? null,
    result,
    running,
    json: JSON.stringify(state),
  };
}

function hashOf(state: DeviceState): string {
  const { disk } = state;
  const free = disk === null || disk.total === 0 ? null : Math.round(DISK_STEPS * disk.free / disk.total);
  const text = JSON.stringify({ ...state, disk: disk === null ? null : { free, total: disk.total } });
  // 96 bits: enough to tell one device's states apart, and it keeps the row narrow.
  return createHash("sha256").update(text).digest("base64").slice(0, 16);
}

/** What a device says of itself at enrolment, as JSON without what has a column of its own. */
export function recordFacts({ facts }: Enrol): { hostname: string; details: string } {
  const { nixosVersion, kernel, machine, agent } = facts;
  return {
    hostname: cleanLine(facts.hostname, 253),
    details: JSON.stringify({
      nixosVersion: short(nixosVersion),
      kernel: short(kernel),
      machine,
      agent: cleanLine(agent, SHORT_MAX),
    }),
  };
}
