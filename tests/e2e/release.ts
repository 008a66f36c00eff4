/** Signing releases and handing them to a server over HTTP: what `nix-ota publish` does, without its checks of the cache. */

import {
  type ApplyMode,
  type Bytes,
  digestOf,
  encodeUtf8,
  ENVELOPE_CONTENT_TYPE,
  formatEnvelope,
  formatRelease,
  formatTimestamp,
  paths,
  type Release,
  signEnvelope,
  type Signer,
  type Substituter,
  summariseClosure,
} from "@nix-ota/common";
import type { ControlServer } from "../rig/control_server.ts";
import type { Stocked } from "./depot.ts";

/** Devices under test are told the releases of this channel. */
export const CHANNEL = "prod";
/** The system that the rig builds for. */
const SYSTEM = `${Deno.build.arch}-linux`;
const VALID_MS = 90 * 86_400_000;

/** A release as a scenario asks for it. */
export type ReleaseSpec = {
  system: Stocked;
  revision: number;
  /** Digest of the release before, or null. */
  prev: string | null;
  substituters: readonly Substituter[];
  /** `auto` unless told. */
  mode?: ApplyMode | undefined;
  /** 30 unless told, which is also the least. */
  healthSeconds?: number | undefined;
};

/** A signed release. */
export type SignedRelease = { revision: number; digest: string; envelope: Bytes };

/** Signs a release. */
export async function signRelease(signer: Signer, spec: ReleaseSpec): Promise<SignedRelease> {
  const { storePath, closure } = spec.system;
  const top = closure.find((path) => path.storePath === storePath);
  if (top === undefined) throw new Error(`Cannot sign a closure without its own top: ${storePath}`);
  const now = Date.now();
  const summary = await summariseClosure(closure);
  const release: Release = {
    type: "nix-ota/release",
    v: 1,
    fleet: "default",
    channel: CHANNEL,
    revision: spec.revision,
    root: 0,
    prev: spec.prev,
    issued: formatTimestamp(now),
    expires: formatTimestamp(now + VALID_MS),
    targets: [{ system: SYSTEM, variant: "default", storePath, narHash: top.narHash, closure: summary }],
    substituters: [...spec.substituters],
    apply: { mode: spec.mode ?? "auto", healthSeconds: spec.healthSeconds ?? 30 },
    notes: "",
  };
  const payload = formatRelease(release);
  const envelope = await signEnvelope("release", payload, [signer]);
  return { revision: spec.revision, digest: await digestOf(payload), envelope: encodeUtf8(formatEnvelope(envelope)) };
}

/** Publishes a signed release. @throws {Error} If the server refuses it, with what it says. */
export async function postRelease(control: ControlServer, { envelope }: SignedRelease): Promise<void> {
  const token = (await Deno.readTextFile(control.tokenFile)).trim();
  const response = await fetch(`${control.url}${paths.publish(CHANNEL)}`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": ENVELOPE_CONTENT_TYPE },
    body: envelope,
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`Cannot publish: the server answered ${response.status} ${text}`);
}

/** Digest of the channel's current release, or null. */
export async function headDigest(control: ControlServer): Promise<string | null> {
  const response = await fetch(`${control.url}${paths.current(CHANNEL)}`);
  await response.body?.cancel();
  return response.status === 200 ? response.headers.get("etag")?.slice(1, -1) ?? null : null;
}
