/**
 * The documents that the device signs about itself, put together from what it knows (protocol 4.2, 4.3, 4.7).
 * @module
 */
import {
  type Checkin,
  cleanLine,
  type DeviceState,
  type Enrol,
  formatTimestamp,
  LOG_MAX_BYTES,
  type LogDocument,
  type Phase,
  PINNED_ROOT,
  unreachable,
} from "@nix-ota/common";
import type { Config } from "./config.ts";
import type { DeviceFacts } from "./device.ts";
import { logTailOf } from "./log_tail.ts";
import type { FetchProgress } from "./nix_output.ts";
import { type Deployment, floorKey, type Situation, type State } from "./state.ts";

/** What a phase is called on the wire (protocol 4.4). */
export function phaseOf(state: State): Phase {
  switch (state.kind) {
    case "idle":
    case "staging":
    case "staged":
    case "rebooting":
    case "probation":
    case "rolling_back":
      return state.kind;
    case "trial":
      return "activating";
    default:
      return unreachable(state);
  }
}

/** The state of the device as a check-in says it (protocol 4.4). */
export function deviceStateOf({ situation, facts, progress, waiting }: {
  situation: Situation;
  facts: DeviceFacts;
  progress: FetchProgress | null;
  /** Why the server holds a staged release back, in its words, or null. */
  waiting: string | null;
}): DeviceState {
  const { state, memory, sinceMs } = situation;
  const { last } = memory;
  const target = state.kind === "idle" ? aboutLast(situation) : aboutDeployment(state.target);
  const running = state.kind === "staging" && progress !== null;
  return {
    phase: phaseOf(state),
    target,
    progress: running ? { ...progress } : null,
    since: formatTimestamp(sinceMs),
    result: last?.result ?? null,
    reason: state.kind === "staged" ? "waiting_for_server" : last?.reason ?? null,
    detail: state.kind === "staged" ? waiting : last?.detail ?? null,
    running: facts.running,
    booted: facts.booted,
    profile: facts.profile,
    bootDefault: facts.bootDefault,
    needsReboot: facts.needsReboot,
    inhibitors: [],
    failedUnits: facts.failedUnits,
    disk: facts.disk,
    kernel: facts.kernel,
    nixosVersion: facts.nixosVersion,
    agent: facts.agent,
  };
}

function aboutDeployment({ revision, digest, storePath }: Deployment): DeviceState["target"] {
  return { revision, digest, storePath };
}

function aboutLast({ memory }: Situation): DeviceState["target"] {
  const release = memory.last?.release ?? null;
  if (release === null || release.storePath === null) return null;
  return { revision: release.revision, digest: release.digest, storePath: release.storePath };
}

/** A check-in (protocol 4.3). Key order is part of the form. */
export function checkinOf({ config, situation, state, chain, bootId, nowMs, synced }: {
  config: Config;
  situation: Situation;
  state: DeviceState;
  chain: { seq: number; nonce: string };
  bootId: string;
  nowMs: number;
  synced: boolean;
}): Checkin {
  const { fleet, channel, deviceId, system, variant } = config;
  return {
    type: "nix-ota/checkin",
    v: 1,
    fleet,
    deviceId,
    seq: chain.seq,
    nonce: chain.nonce,
    bootId: /^[0-9a-f-]{1,64}$/.test(bootId) ? bootId : "0",
    at: formatTimestamp(nowMs),
    clock: synced ? "synced" : "unsynced",
    root: PINNED_ROOT,
    channel,
    system,
    variant,
    seen: situation.memory.floors[floorKey({ fleet, channel })] ?? null,
    state,
  };
}

/** An enrolment (protocol 4.2), without the key, which whoever signs adds. */
export function enrolOf({ config, hostName, facts, machine, token, nowMs }: {
  config: Config;
  hostName: string;
  facts: DeviceFacts;
  machine: string | null;
  token: string | null;
  nowMs: number;
}): Omit<Enrol, "publicKey"> {
  const { fleet, deviceId, channel, system, variant } = config;
  const { nixosVersion, kernel, agent } = facts;
  return {
    type: "nix-ota/enrol",
    v: 1,
    fleet,
    deviceId,
    channel,
    facts: { system, variant, hostname: cleanLine(hostName, 253), nixosVersion, kernel, machine, agent },
    token,
    at: formatTimestamp(nowMs),
  };
}

/** Room that a log's other members, its signature and the envelope take, with some to spare. */
const LOG_FRAME_BYTES = 2048;

/** The log of a failed activation (protocol 4.7), cut so that its envelope keeps the limit of clause 6.2. */
export function logDocumentOf({ config, target, log, seq, nowMs }: {
  config: Config;
  target: Deployment;
  log: string;
  seq: number;
  nowMs: number;
}): LogDocument {
  const { fleet, deviceId } = config;
  const { channel, revision, digest } = target;
  return {
    type: "nix-ota/log",
    v: 1,
    fleet,
    deviceId,
    seq,
    at: formatTimestamp(nowMs),
    channel,
    revision,
    digest,
    log: logTailOf(log, Math.floor((LOG_MAX_BYTES - LOG_FRAME_BYTES) * 3 / 4)),
  };
}
