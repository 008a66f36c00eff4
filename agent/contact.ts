/**
 * One exchange with the server: the check-in, and the enrolment where the server does not know the device (protocol 4.2,
 * 4.3).
 * @module
 */
import type { Directive, TrustClock } from "@nix-ota/common";
import type { Context } from "./context.ts";
import { deviceFacts, lookAround, machineOf } from "./device.ts";
import { checkinOf, deviceStateOf, enrolOf } from "./documents.ts";
import type { FetchProgress } from "./nix_output.ts";
import type { Enrolled, ServerClient, Unanswered } from "./server.ts";
import type { Situation } from "./state.ts";

/** Where the agent stands with its server. */
export type Contact =
  | { readonly kind: "directive"; readonly directive: Directive }
  /** An operator has to accept the device. */
  | { readonly kind: "pending"; readonly pollAfterSeconds: number }
  | Unanswered;

/** What a check-in says besides what is seen on the device. */
export interface ToSay {
  readonly situation: Situation;
  readonly progress: FetchProgress | null;
  /** Why the server held the device back in its last answer, in its words, or null. */
  readonly waiting: string | null;
  readonly clock: TrustClock;
}

/** Largest enrolment token file in bytes. */
const TOKEN_MAX_BYTES = 1024;

/** Checks in, and enrols first where that is what the server wants. */
export async function contactServer(context: Context, client: ServerClient, toSay: ToSay): Promise<Contact> {
  const { config, system } = context;
  const { situation, clock } = toSay;
  const look = await lookAround(context);
  const state = deviceStateOf({ ...toSay, facts: await deviceFacts(context, look) });
  const build = (chain: { seq: number; nonce: string }) =>
    checkinOf({
      config,
      situation,
      state,
      chain,
      bootId: look.bootId,
      nowMs: system.now(),
      synced: clock.synchronised,
    });
  const answer = await client.checkin(build);
  if (answer.kind === "directive") return answer;
  switch (answer.code) {
    case "device_pending":
      return { kind: "pending", pollAfterSeconds: config.pollSeconds };
    case "device_unknown":
    case "signatures_insufficient": {
      // Where the key is not the one that the server knows, enrolling says what there is to do, or begins anew.
      const enrolled = await enrol(context, client);
      if (enrolled.kind === "failed") return enrolled;
      if (enrolled.kind === "accepted") return await client.checkin(build);
      return { kind: "pending", pollAfterSeconds: enrolled.pollAfterSeconds };
    }
    default:
      return answer;
  }
}

async function enrol(context: Context, client: ServerClient): Promise<Enrolled> {
  const { config, system } = context;
  const facts = await deviceFacts(context, await lookAround(context));
  const machine = await machineOf(context);
  const token = await readToken(context);
  return await client.enrol(
    enrolOf({ config, hostName: system.hostName(), facts, machine, token, nowMs: system.now() }),
  );
}

async function readToken({ config, system }: Context): Promise<string | null> {
  const { enrolTokenFile } = config;
  if (enrolTokenFile === null) return null;
  const content = await system.files.read(enrolTokenFile, TOKEN_MAX_BYTES);
  if (content === null) throw new Error(`Cannot enrol as the token file "${enrolTokenFile}" is absent`);
  const token = new TextDecoder().decode(content).trim();
  if (/^[\x21-\x7e]{1,256}$/.test(token)) return token;
  throw new Error(`Cannot enrol as the token file "${enrolTokenFile}" holds no token of 1 to 256 ASCII characters`);
}
