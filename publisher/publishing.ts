/**
 * Signing and sending, with the races that several publishers can run into.
 * @module
 */
import { formatClosureListing, type PublicKey, type Signer, type VerifiedRelease } from "@nix-ota/common";
import { type Api, publishRelease, readCurrent, refusal, sendListing } from "./api.ts";
import type { Context } from "./context.ts";
import { checkInterrupted } from "./context.ts";
import { CliError, EXIT } from "./errors.ts";
import {
  type PlannedTarget,
  planRelease,
  type ReleaseChoices,
  type SignedRelease,
  signRelease,
  verifyCurrent,
} from "./release_plan.ts";

/** How often a release is signed anew because another publisher was faster. */
const RACES_MAX = 5;

/** What is published, by whom, where. */
export interface Publication {
  readonly api: Api;
  readonly choices: ReleaseChoices;
  readonly targets: readonly PlannedTarget[];
  readonly signers: readonly Signer[];
  /** Keys whose release may be the current one. */
  readonly trusted: readonly PublicKey[];
}

/** The channel's current release, verified; null before the first one. @throws {CliError} */
export async function readVerifiedCurrent({ api, choices, trusted }: Publication): Promise<VerifiedRelease | null> {
  const { fleet, channel } = choices;
  const envelope = await readCurrent(api, channel);
  return envelope === null ? null : await verifyCurrent(envelope, { keys: trusted, fleet, channel });
}

/** Plans and signs what follows `current`. */
export function signNext(
  { choices, targets, signers }: Publication,
  current: VerifiedRelease | null,
  nowMs: number,
): Promise<SignedRelease> {
  return signRelease(planRelease({ choices, targets, current, nowMs }), signers);
}

/**
 * Publishes. Where another publisher took the revision meanwhile, reads the channel again and signs for the next one. A
 * try whose answer was lost is no such race: the same bytes again get the same answer (protocol 5.2).
 *
 * Once the first byte is sent, Ctrl-C waits until the server answered, so that nobody has to guess.
 * @throws {CliError}
 */
export async function publish(
  publication: Publication,
  context: Context,
  first: { current: VerifiedRelease | null; signed: SignedRelease },
): Promise<SignedRelease> {
  const { choices } = publication;
  const signers = publication.signers.map(({ publicKey }) => publicKey);
  const api = steadfast(publication.api);
  let { current, signed } = first;
  for (let race = 1;; race++) {
    checkInterrupted(context, "publishing: nothing was sent");
    const outcome = await publishRelease(api, choices.channel, { envelope: signed.envelope, signers });
    if (outcome.kind === "published") return checkAnswer(signed, outcome.answer);
    const now = await readVerifiedCurrent({ ...publication, api });
    if (now === null || now.digest === current?.digest || race >= RACES_MAX) {
      throw refusal(
        api,
        `publish revision ${signed.release.revision} on channel "${choices.channel}"`,
        outcome.problem,
      );
    }
    context.ui.step(
      "warn",
      "race",
      `revision ${now.release.revision} was published meanwhile: signing for the next one`,
    );
    current = now;
    signed = await signNext(publication, current, context.now());
  }
}

function checkAnswer(signed: SignedRelease, answer: { revision: number; digest: string }): SignedRelease {
  if (answer.revision === signed.release.revision && answer.digest === signed.digest) return signed;
  throw new CliError(
    EXIT.serverUnreachable,
    `Cannot tell what was published as the server says it took revision ${answer.revision} where revision ` +
      `${signed.release.revision} was sent (see nix-ota releases)`,
    { code: "server_answer_invalid" },
  );
}

/** Sends the closure listings that the signed digests prove (protocol 5.3): for people, devices do without. */
export async function sendListings(publication: Publication, { release }: SignedRelease): Promise<void> {
  const api = steadfast(publication.api);
  for (const { variant, closure } of publication.targets) {
    const at = { channel: release.channel, revision: release.revision, system: closure.system, variant };
    await sendListing(api, at, formatClosureListing(closure.paths));
  }
}

/** The same server, without Ctrl-C in the middle of a request; the requests' own time limits hold. */
function steadfast(api: Api): Api {
  return { ...api, signal: new AbortController().signal };
}
