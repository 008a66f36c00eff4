/**
 * Whether a check-in continues the chain of answers (protocol 4.3): pure.
 * @module
 */

/** How many boots before the current one are remembered. A clone shows within its first two check-ins. */
const EARLIER_BOOTS_MAX = 4;

/** What is known of a device's last check-in. */
export interface Chain {
  readonly seq: number;
  readonly nonce: string;
  readonly previousNonce: string;
  /** Empty before the first check-in. */
  readonly bootId: string;
  /** Newest first. */
  readonly earlierBoots: readonly string[];
}

/** What a check-in says about its place in the chain. */
export interface Link {
  readonly seq: number;
  readonly nonce: string;
  readonly bootId: string;
}

/** What becomes of a check-in. */
export type ChainStep =
  | { readonly kind: "replayed" }
  | { readonly kind: "stale" }
  | { readonly kind: "continued"; readonly chain: Chain; readonly returnedBoot: boolean };

/**
 * Judges one check-in. Its sequence number must be above the last one; its nonce must be that of the last answer or
 * the one that the check-in before carried, as an answer may be lost on its way any number of times. A boot that comes
 * back after another one cannot happen on one machine: `returnedBoot` says that two of them share a key.
 */
export function continueChain(chain: Chain, link: Link, newNonce: string): ChainStep {
  if (link.seq <= chain.seq) return { kind: "replayed" };
  if (link.nonce === "" || (link.nonce !== chain.nonce && link.nonce !== chain.previousNonce)) return { kind: "stale" };
  const sameBoot = link.bootId === chain.bootId;
  const earlierBoots = sameBoot || chain.bootId === ""
    ? chain.earlierBoots
    : [chain.bootId, ...chain.earlierBoots.filter((boot) => boot !== chain.bootId)].slice(0, EARLIER_BOOTS_MAX);
  return {
    kind: "continued",
    chain: { seq: link.seq, nonce: newNonce, previousNonce: link.nonce, bootId: link.bootId, earlierBoots },
    returnedBoot: !sameBoot && chain.earlierBoots.includes(link.bootId),
  };
}
