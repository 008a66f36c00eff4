/**
 * The status screen: what a technician in front of the device needs to see, in words.
 * @module
 */
import {
  cleanLine,
  decodeUtf8,
  type DeviceState,
  encodeUtf8,
  ERROR_CODES,
  formatBytes,
  formatDuration,
  formatTimestamp,
  isErrorCode,
  REASONS,
  schema,
} from "@nix-ota/common";
import type { AgentView } from "./agent.ts";
import type { Config } from "./config.ts";
import type { Look } from "./events.ts";
import { phaseOf } from "./documents.ts";
import type { AgentPaths } from "./paths.ts";
import type { Situation } from "./state.ts";
import type { System } from "./system.ts";

/** What the running agent leaves for `status` to read; never relied on for anything else. */
export interface StatusNote {
  readonly atMs: number;
  readonly fingerprint: string;
  /** When the server last answered. */
  readonly contactMs: number | null;
  /** In words, how it stands with the server. */
  readonly contact: string;
  readonly nextPollMs: number | null;
  readonly progress: DeviceState["progress"];
}

const { integer, nullable, open, string } = schema;
const Text = string({ max: 4096, wanted: "text" });
const Note = open({
  atMs: integer(0),
  fingerprint: Text,
  contactMs: nullable(integer(0)),
  contact: Text,
  nextPollMs: nullable(integer(0)),
  progress: nullable(open({ paths: integer(0), ofPaths: integer(0), bytes: integer(0), ofBytes: integer(0) })),
});

/** Longest time between what happens and what `status` shows of it. */
const NOTE_EVERY_MS = 1_000;

/** Leaves notes for `status`, at a bounded rate; not synced, as they are worth nothing after a power cut. */
export function createNoteWriter(
  { system, paths, fingerprint }: { system: System; paths: AgentPaths; fingerprint: string },
): { note: (view: AgentView) => void; flush: () => Promise<void> } {
  let writtenMs = -Infinity;
  let latest: AgentView | null = null;
  let writing = Promise.resolve();

  async function write(): Promise<void> {
    if (latest === null) return;
    const content = encodeUtf8(`${JSON.stringify(noteOf(latest, { fingerprint, nowMs: system.now() }))}\n`);
    latest = null;
    writtenMs = system.monotonicMs();
    try {
      await system.files.write(`${paths.status}.new`, content, 0o600);
      await system.files.rename(`${paths.status}.new`, paths.status);
    } catch {
      // A full disk: `status` then shows what is in the journal.
    }
  }

  const flush = (): Promise<void> => {
    writing = writing.then(write);
    return writing;
  };
  return {
    note(view) {
      latest = view;
      if (system.monotonicMs() - writtenMs >= NOTE_EVERY_MS) void flush();
    },
    flush,
  };
}

function noteOf(
  { contact, contactMs, nextPollMs, progress }: AgentView,
  { fingerprint, nowMs }: { fingerprint: string; nowMs: number },
): StatusNote {
  return { atMs: nowMs, fingerprint, contactMs, contact: contactWords(contact), nextPollMs, progress };
}

function contactWords(contact: AgentView["contact"]): string {
  switch (contact?.kind) {
    case undefined:
      return "not yet";
    case "pending":
      return "waits for an operator to accept this device";
    case "failed":
      return cleanLine(contact.message, 1000);
    case "directive": {
      const { offer } = contact.directive;
      return offer === null ? "nothing offered" : `revision ${offer.revision} offered: ${cleanLine(offer.reason, 512)}`;
    }
  }
}

/** Reads the note of the running agent, or null. */
export async function readNote(system: System, paths: AgentPaths): Promise<StatusNote | null> {
  try {
    const content = await system.files.read(paths.status, 64 * 1024);
    return content === null ? null : Note(JSON.parse(decodeUtf8(content)), "status");
  } catch {
    return null;
  }
}

/** Everything the screen shows. */
export interface Status {
  readonly config: Pick<Config, "deviceId" | "fleet" | "channel" | "server">;
  readonly situation: Situation;
  readonly look: Look;
  readonly note: StatusNote | null;
  /** Whether an agent runs. */
  readonly alive: boolean;
  readonly nowMs: number;
}

/** The status as one JSON object, for programs. */
export function statusJson({ config, situation, look, note, alive, nowMs }: Status): string {
  const { state, memory, sinceMs } = situation;
  const { deviceId, fleet, channel, server } = config;
  return JSON.stringify(
    {
      deviceId,
      fleet,
      channel,
      server,
      running: alive,
      phase: phaseOf(state),
      since: formatTimestamp(sinceMs),
      target: state.kind === "idle" ? null : state.target,
      last: memory.last === null ? null : { ...memory.last, at: formatTimestamp(memory.last.atMs) },
      confirmed: memory.confirmed,
      previousSystem: memory.previous,
      bad: memory.bad,
      floors: memory.floors,
      system: look,
      contact: note,
      now: formatTimestamp(nowMs),
    },
    null,
    2,
  );
}

/** The status as a screen of lines. */
export function statusScreen(status: Status): string {
  const { config, situation, look, note, alive, nowMs } = status;
  const { memory } = situation;
  const ago = (ms: number) => `${formatDuration((nowMs - ms) / 1000)} ago`;
  const rows: [string, string][] = [
    ["Device", `${config.deviceId} (fleet ${config.fleet}, channel ${config.channel})`],
    ["Key", note?.fingerprint ?? "made at the first start of the agent"],
    ["Agent", alive ? "running" : "NOT RUNNING: start it with systemctl start nix-ota-agent"],
    ["Server", `${config.server}${note?.contactMs ? `, last answer ${ago(note.contactMs)}` : ", no answer yet"}`],
    ["", note?.contact ?? "not asked yet"],
    ["Doing", `${doing(situation)}, for ${formatDuration((nowMs - situation.sinceMs) / 1000)}`],
  ];
  if (note?.progress && situation.state.kind === "staging") rows.push(["", progressLine(note.progress)]);
  rows.push(
    ["Runs", look.running ?? "nothing that Nix made"],
    ["Booted", look.booted === look.running ? "the same" : look.booted ?? "unknown"],
    ["Next boot", look.profile === look.running ? "the same" : look.profile ?? "unknown"],
    ["Way back", memory.previous ?? "none recorded"],
  );
  if (memory.last !== null) {
    const { result, reason, detail, release, atMs } = memory.last;
    rows.push([
      "Last",
      `${release ? `revision ${release.revision} ` : ""}${result.replaceAll("_", " ")}, ${ago(atMs)}`,
    ]);
    if (reason !== null) rows.push(["", reasonWords(reason)]);
    if (detail !== null) rows.push(["", cleanLine(detail, 300)]);
  }
  if (memory.bad.length > 0) {
    rows.push(["Not retried", `${memory.bad.length} release(s): nix-ota-agent retry forgets them`]);
  }
  return rows.map(([name, value]) => `${name.padEnd(12)}${value}`).join("\n");
}

function doing({ state }: Situation): string {
  switch (state.kind) {
    case "idle":
      return "nothing to do";
    case "staging":
      return `fetching revision ${state.target.revision}`;
    case "staged":
      return `revision ${state.target.revision} is fetched and waits for the server's permission`;
    case "trial":
      return `activating revision ${state.target.revision}`;
    case "rebooting":
      return `revision ${state.target.revision} waits for a reboot`;
    case "probation":
      return `checking the health of revision ${state.target.revision}`;
    case "rolling_back":
      return `going back to ${state.prev}`;
  }
}

function progressLine({ paths, ofPaths, bytes, ofBytes }: NonNullable<DeviceState["progress"]>): string {
  const percent = ofBytes === 0 ? 0 : Math.floor(100 * bytes / ofBytes);
  return `${percent} %: ${paths} of ${ofPaths} paths, ${formatBytes(bytes)} of ${formatBytes(ofBytes)}`;
}

/** A reason in words: the sentence of its code, and what it is about. */
export function reasonWords(reason: string): string {
  const [code = "", ...about] = reason.split(":");
  const sentence = Object.hasOwn(REASONS, code)
    ? REASONS[code as keyof typeof REASONS]
    : isErrorCode(code)
    ? ERROR_CODES[code].title
    : code;
  return about.length === 0 ? sentence : `${sentence} (${about.join(":")})`;
}
