/**
 * Whose signatures make a release: the configured keys, or those of the first publish.
 * @module
 */
import {
  type Bytes,
  formatRawPublicKey,
  type KeyPolicy,
  OtaError,
  parseEnvelope,
  parsePublicKey,
  type PublicKey,
  signersOf,
} from "@nix-ota/common";

/** Keys that a release must be signed with, and whether they are still to be pinned. */
export interface PublishTrust {
  readonly keys: KeyPolicy;
  /** Raw base64 keys to pin with the release, or null where they are known already. */
  readonly pin: readonly string[] | null;
}

/** Finds the keys that a release must be signed with. */
export interface TrustKeys {
  /**
   * @param offered Keys that the publisher sent along; used only where none are known.
   * @throws {OtaError} `signatures_insufficient` where none are known and none of those offered signed the envelope.
   */
  forPublish(envelope: Bytes, offered: readonly PublicKey[]): Promise<PublishTrust>;
  /** What is known now: null before the first publish of a server without configured keys. */
  known(): KeyPolicy | null;
}

/**
 * Makes the source of keys.
 *
 * @param configured From the configuration; they win over pinned ones. Null where it names none.
 * @param pinned Raw base64 keys of the first publish, or null. All of them must sign: which of them would do alone, only
 *   the configuration can tell.
 */
export function createTrustKeys({ configured, pinned }: {
  configured: KeyPolicy | null;
  pinned: () => readonly string[] | null;
}): TrustKeys {
  function known(): KeyPolicy | null {
    if (configured !== null) return configured;
    const keys = pinned()?.map(parsePublicKey);
    return keys === undefined ? null : { keys, threshold: keys.length };
  }
  return {
    known,
    forPublish: async (envelope, offered) => {
      const keys = known();
      if (keys !== null) return { keys, pin: null };
      const signers = await signersOf(parseEnvelope(envelope), offered);
      if (signers.length > 0) {
        return { keys: { keys: signers, threshold: signers.length }, pin: signers.map(formatRawPublicKey) };
      }
      throw new OtaError(
        "signatures_insufficient",
        "Cannot trust the release as the server knows no release key yet and the request brings none that signed it " +
          '(set "publicKeys" in the server\'s configuration, or publish with nix-ota, which sends the public key along)',
      );
    },
  };
}
