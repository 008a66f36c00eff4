/**
 * The journal: one small file that says where the device stands, written before every step is taken.
 *
 * The content is one line of JSON and one line with its SHA-256, so that a torn file is known as such. The copy before
 * the last write is kept and read where the newest cannot be.
 * @module
 */
import { type Bytes, decodeUtf8, digestOf, encodeUtf8, messageOf, schema, show } from "@nix-ota/common";
import { writeDurably } from "./atomic_file.ts";
import { emptySituation, parseSituation, type Situation } from "./state.ts";
import type { Files } from "./system.ts";

/** Version of the form. It changes only where an older agent must not go on; fields are added without a change. */
export const JOURNAL_SCHEMA = 1;
/** Largest journal in bytes: full lists of floors and bad releases take some 60 KiB. */
const JOURNAL_MAX_BYTES = 1024 * 1024;

/** Where the device stands, durable before `write` returns. */
export interface Journal {
  write(situation: Situation): Promise<void>;
}

/** How the journal was found. */
export type JournalFound =
  | { readonly kind: "first-start"; readonly situation: Situation }
  | { readonly kind: "read"; readonly situation: Situation }
  /** The newest copy could not be read; this is the one before. */
  | { readonly kind: "previous-copy"; readonly situation: Situation; readonly problem: string }
  /** No copy could be read; the broken ones are kept aside. */
  | { readonly kind: "lost"; readonly situation: Situation; readonly problem: string };

/** A journal that only a newer agent may go on with. */
export class NewerJournalError extends Error {
  override readonly name: string = "NewerJournalError";
}

/** Paths of the journal below the state directory. */
export function journalPaths(stateDir: string): { current: string; previous: string } {
  return { current: `${stateDir}/journal.json`, previous: `${stateDir}/journal.previous.json` };
}

/** The journal in a state directory. */
export function openJournal(files: Files, stateDir: string): Journal {
  const { current, previous } = journalPaths(stateDir);
  return {
    async write(situation) {
      await writeDurably(files, {
        path: current,
        content: await formatJournal(situation),
        mode: 0o600,
        keep: previous,
      });
    },
  };
}

/**
 * Reads the journal without changing anything.
 * @throws {NewerJournalError} Where a newer agent wrote it.
 */
export async function readJournal(files: Files, { stateDir, nowMs }: {
  stateDir: string;
  nowMs: number;
}): Promise<JournalFound> {
  const { current, previous } = journalPaths(stateDir);
  const newest = await tryRead(files, current);
  if (newest.kind === "read") return newest;
  const before = await tryRead(files, previous);
  if (before.kind === "read") return { ...before, kind: "previous-copy", problem: newest.problem };
  if (newest.kind === "absent" && before.kind === "absent") {
    return { kind: "first-start", situation: emptySituation(nowMs) };
  }
  return { kind: "lost", situation: emptySituation(nowMs), problem: `${newest.problem}; ${before.problem}` };
}

/** Moves copies that cannot be read out of the way, for a person to look at. */
export async function setBrokenAside(files: Files, stateDir: string): Promise<void> {
  const { current, previous } = journalPaths(stateDir);
  for (const path of [current, previous]) {
    if ((await tryRead(files, path)).kind === "broken") await files.rename(path, `${path}.broken`);
  }
}

type TriedRead =
  | { readonly kind: "read"; readonly situation: Situation }
  | { readonly kind: "absent" | "broken"; readonly problem: string };

async function tryRead(files: Files, path: string): Promise<TriedRead> {
  try {
    const content = await files.read(path, JOURNAL_MAX_BYTES);
    if (content === null) return { kind: "absent", problem: `"${path}" is absent` };
    return { kind: "read", situation: await parseJournal(content) };
  } catch (error) {
    if (error instanceof NewerJournalError) throw error;
    if (error instanceof Deno.errors.PermissionDenied) {
      throw new Error(`Cannot read "${path}" as this user may not (run it as root)`, { cause: error });
    }
    return { kind: "broken", problem: `"${path}" cannot be read: ${messageOf(error)}` };
  }
}

const Envelope = schema.open({ schema: schema.integer(1), situation: (value: unknown) => value });

/** Prints the journal with its SHA-256. */
export async function formatJournal(situation: Situation): Promise<Bytes> {
  const line = `${JSON.stringify({ schema: JOURNAL_SCHEMA, situation })}\n`;
  return encodeUtf8(`${line}${await digestOf(encodeUtf8(line))}\n`);
}

/** Reads a journal. @throws {Error} Where it is torn, altered or of a form that is not known. */
export async function parseJournal(content: Bytes): Promise<Situation> {
  const [line, digest, ...rest] = decodeUtf8(content).split("\n");
  if (line === undefined || digest === undefined || rest.length !== 1 || rest[0] !== "") {
    throw new TypeError("wanted one line of JSON and one with its SHA-256");
  }
  if (await digestOf(encodeUtf8(`${line}\n`)) !== digest) throw new TypeError("its SHA-256 does not match");
  const { schema: version, situation } = Envelope(JSON.parse(line), "journal");
  if (version > JOURNAL_SCHEMA) {
    throw new NewerJournalError(
      `Cannot go on with the journal as a newer agent wrote it in form ${show(version)}: known is ${JOURNAL_SCHEMA} ` +
        "(start the newer agent)",
    );
  }
  return parseSituation(situation, "journal.situation");
}
