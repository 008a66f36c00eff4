/**
 * What someone who owns the server's database can try: show an old release again, or plant one of their own.
 * @module
 */
import { DatabaseSync } from "node:sqlite";
import {
  digestOf,
  encodeUtf8,
  formatEnvelope,
  formatRelease,
  parseEnvelope,
  parsePrivateKeyPem,
  parseRelease,
  signEnvelope,
  signerFromPkcs8,
} from "@nix-ota/common";

/** A release as the attacker wants the server to offer it. */
export interface Forgery {
  readonly channel: string;
  readonly from: number;
  readonly revision: number;
  readonly digest: string;
  readonly envelope: string;
}

/** The number of the forged release: well above everything that was published. */
const FORGED_REVISION = 9;

/** Makes a channel offer a revision that it offered before. */
export function showRevision(
  database: DatabaseSync,
  { channel, revision }: { channel: string; revision: number },
): void {
  database.prepare("UPDATE channel SET head_revision = ? WHERE name = ?").run(revision, channel);
}

/** Takes a real release, gives it a new number, and signs it with a key that no device trusts. */
export async function forgeRelease({ database, keyFile, from }: {
  database: string;
  keyFile: string;
  /** The revision to imitate. */
  from: number;
}): Promise<Forgery> {
  const reader = new DatabaseSync(database, { readOnly: true });
  const row = reader.prepare("SELECT envelope FROM release WHERE revision = ?").get(from);
  reader.close();
  const { payload } = parseEnvelope(encodeUtf8(String(row?.envelope)));
  const forged = formatRelease({ ...parseRelease(payload), revision: FORGED_REVISION, notes: "forged" });
  const signer = await signerFromPkcs8(parsePrivateKeyPem(await Deno.readTextFile(keyFile)));
  return {
    channel: parseRelease(payload).channel,
    from,
    revision: FORGED_REVISION,
    digest: await digestOf(forged),
    envelope: formatEnvelope(await signEnvelope("release", forged, [signer])),
  };
}

/** Puts a release into the store as if it had been published, and makes the channel offer it. */
export function plantRelease(database: DatabaseSync, { channel, from, revision, digest, envelope }: Forgery): void {
  database.prepare(
    `INSERT INTO release (channel, revision, digest, issued, expires, notes, mode, signers, published_ms, envelope)
     SELECT channel, ?, ?, issued, expires, 'forged', mode, signers, published_ms, ?
     FROM release WHERE channel = ? AND revision = ?`,
  ).run(revision, digest, envelope, channel, from);
  database.prepare(
    `INSERT INTO release_target (channel, revision, system, variant, store_path, paths, nar_size, closure_digest)
     SELECT channel, ?, system, variant, store_path, paths, nar_size, closure_digest
     FROM release_target WHERE channel = ? AND revision = ?`,
  ).run(revision, channel, from);
  showRevision(database, { channel, revision });
}
