/**
 * The options of `nix-ota publish`, from text to values.
 * @module
 */
import {
  APPLY_MODES,
  type ApplyMode,
  type CacheKey,
  Name,
  NOTES_MAX,
  parseCacheKey,
  parseDuration,
  parseSubstituterUrl,
  SUBSTITUTERS_MAX,
  SystemName,
  VALIDITY_MAX_MS,
} from "@nix-ota/common";
import { grouped, missingOption, type OptionSpec, parseOption, quoted, type Raw, wholeNumber } from "../context.ts";
import { usageError } from "../errors.ts";
import { CONNECTION_OPTIONS } from "../connection.ts";

/** The options, for the help. */
export const PUBLISH_OPTIONS: readonly OptionSpec[] = [
  ...grouped("What", [
    { flags: "--channel <name>", about: "the channel to publish on" },
    { flags: "--store-path <path>", about: "the system, or a link to it such as ./result" },
    { flags: "--variant <name=path>", about: "a system for one kind of device (repeatable)", repeat: true },
    { flags: "--system <system>", about: "such as x86_64-linux (default: what the closure says)" },
    { flags: "--fleet <name>", about: "the fleet (default: default)" },
    { flags: "--notes <text>", about: "what changed, for people" },
  ]),
  ...grouped("Where devices fetch it", [
    { flags: "--substituter <url>", about: "binary cache (repeatable)", repeat: true },
    { flags: "--substituter-key <key>", about: "name:base64 of a key that signs its paths (repeatable)", repeat: true },
  ]),
  ...grouped("Who signs it", [
    { flags: "--key <file>", about: "release key (repeatable, for thresholds)", repeat: true },
    { flags: "--passphrase-file <file>", about: "passphrase of encrypted keys (default: asked on the terminal)" },
    {
      flags: "--trust <key>",
      about: "another public key that may have signed the current release (repeatable)",
      repeat: true,
    },
  ]),
  ...CONNECTION_OPTIONS,
  ...grouped("How devices take it on", [
    { flags: "--mode <mode>", about: `${APPLY_MODES.join(", ")} (default: auto)` },
    { flags: "--health-seconds <n>", about: "how long they watch its health, 30 to 3600 (default: 120)" },
    { flags: "--expires <duration>", about: "how long it may be installed, at most 400d (default: 90d)" },
    { flags: "--revision <n>", about: "its number (default: one more than the current one)" },
  ]),
  ...grouped("Following it", [
    { flags: "--wait", about: "follow the devices and exit by their result" },
    { flags: "--wait-timeout <duration>", about: "how long to follow (default: 15m)" },
    { flags: "--offline-after <duration>", about: "devices silent for so long are not waited for (default: 2m)" },
    { flags: "--fail-on <any|all>", about: "fail at the first failed device, or only where all failed (default: any)" },
  ]),
  { flags: "--dry-run", about: "do everything but send it" },
  { flags: "--out <file>", about: "also write the signed release to a file" },
];

/** How `--wait` ends badly. */
export const FAIL_ON = ["any", "all"] as const;

/** What `publish` was asked to do. */
export interface PublishOptions {
  readonly keyFiles: readonly string[];
  readonly passphraseFile: string | undefined;
  readonly trust: readonly string[];
  readonly channel: string;
  readonly fleet: string;
  readonly targets: readonly { readonly variant: string; readonly path: string }[];
  readonly system: string | null;
  /** In normal form. */
  readonly substituters: readonly string[];
  readonly substituterKeys: readonly CacheKey[];
  readonly mode: ApplyMode;
  readonly healthSeconds: number;
  readonly expiresSeconds: number;
  readonly notes: string;
  readonly revision: number | null;
  readonly dryRun: boolean;
  readonly out: string | null;
  /** Null without `--wait`. */
  readonly wait:
    | { readonly timeoutSeconds: number; readonly offlineSeconds: number; readonly failOn: "any" | "all" }
    | null;
}

const KEYS_MAX = 16;
const SUBSTITUTER_KEYS_MAX = 4;
/** The variant of a device that was not told another one. */
const DEFAULT_VARIANT = "default";

/** Reads the options. @throws {CliError} With exit code 2. */
export function parsePublishOptions(raw: Raw): PublishOptions {
  const channel = raw.text("channel");
  if (channel === undefined) throw missingOption("--channel", "the channel to publish on", "prod");
  return {
    ...parseKeys(raw),
    channel: parseOption("--channel", channel, Name),
    fleet: parseOption("--fleet", raw.text("fleet") ?? "default", Name),
    targets: parseTargets(raw),
    system: optional(raw, "system", "--system", SystemName),
    ...parseSubstituters(raw),
    mode: parseOption("--mode", raw.text("mode") ?? "auto", oneOf(APPLY_MODES)),
    healthSeconds: parseOption("--health-seconds", raw.text("healthSeconds") ?? "120", wholeNumber(30, 3600)),
    expiresSeconds: parseOption("--expires", raw.text("expires") ?? "90d", parseExpiry),
    notes: parseOption("--notes", raw.text("notes") ?? "", parseNotes),
    revision: optional(raw, "revision", "--revision", wholeNumber(1, Number.MAX_SAFE_INTEGER)),
    dryRun: raw.flag("dryRun"),
    out: raw.text("out") ?? null,
    wait: parseWait(raw),
  };
}

function optional<T>(raw: Raw, name: string, flag: string, parse: (value: string, at: string) => T): T | null {
  const value = raw.text(name);
  return value === undefined ? null : parseOption(flag, value, parse);
}

function oneOf<const T extends string>(wanted: readonly T[]): (value: string, at: string) => T {
  return (value, at) => {
    const found = wanted.find((one) => one === value);
    if (found !== undefined) return found;
    throw usageError(`${at} must be one of ${wanted.join(", ")}, found ${quoted(value)}`);
  };
}

function parseKeys(raw: Raw): Pick<PublishOptions, "keyFiles" | "passphraseFile" | "trust"> {
  const keyFiles = raw.list("key");
  if (keyFiles.length === 0) throw missingOption("--key", "the release key to sign with", "./sign.key");
  if (keyFiles.length > KEYS_MAX) {
    throw usageError(`--key is given ${keyFiles.length} times: wanted at most ${KEYS_MAX}`);
  }
  return { keyFiles, passphraseFile: raw.text("passphraseFile"), trust: raw.list("trust") };
}

function parseTargets(raw: Raw): PublishOptions["targets"] {
  const storePath = raw.text("storePath");
  const variants = raw.list("variant").map((text) => parseOption("--variant", text, parseVariant));
  const targets = storePath === undefined ? variants : [{ variant: DEFAULT_VARIANT, path: storePath }, ...variants];
  if (targets.length === 0) throw missingOption("--store-path", "the system to publish", "./result");
  return targets;
}

function parseVariant(text: string, at: string): { variant: string; path: string } {
  const equals = text.indexOf("=");
  if (equals < 1 || equals === text.length - 1) {
    throw usageError(`${at} must be NAME=PATH such as pi4=./result-pi4, found ${quoted(text)}`);
  }
  return { variant: Name(text.slice(0, equals), at), path: text.slice(equals + 1) };
}

function parseSubstituters(raw: Raw): Pick<PublishOptions, "substituters" | "substituterKeys"> {
  const urls = raw.list("substituter");
  if (urls.length === 0) {
    throw missingOption("--substituter", "the binary cache that devices fetch from", "https://cache.example.org");
  }
  if (urls.length > SUBSTITUTERS_MAX) {
    throw usageError(`--substituter is given ${urls.length} times: wanted at most ${SUBSTITUTERS_MAX}`);
  }
  const substituters = urls.map((url) => parseOption("--substituter", url, (text) => parseSubstituterUrl(text).href));
  if (new Set(substituters).size < substituters.length) throw usageError("--substituter names the same cache twice");
  const keys = raw.list("substituterKey");
  if (keys.length > SUBSTITUTER_KEYS_MAX) {
    throw usageError(`--substituter-key is given ${keys.length} times: wanted at most ${SUBSTITUTER_KEYS_MAX}`);
  }
  return { substituters, substituterKeys: keys.map((key) => parseOption("--substituter-key", key, parseCacheKey)) };
}

function parseExpiry(text: string, at: string): number {
  const seconds = parseDuration(text);
  if (seconds * 1000 <= VALIDITY_MAX_MS) return seconds;
  throw usageError(`${at} must be at most ${VALIDITY_MAX_MS / 86_400_000}d, found ${quoted(text)}`);
}

function parseNotes(text: string, at: string): string {
  if (text.length <= NOTES_MAX && text.isWellFormed()) return text;
  throw usageError(`${at} must have at most ${NOTES_MAX} characters, found ${text.length}`);
}

function parseWait(raw: Raw): PublishOptions["wait"] {
  const dependent = [["waitTimeout", "--wait-timeout"], ["offlineAfter", "--offline-after"], [
    "failOn",
    "--fail-on",
  ]] as const;
  if (!raw.flag("wait")) {
    const given = dependent.find(([name]) => raw.text(name) !== undefined);
    if (given) throw usageError(`${given[1]} means nothing without --wait (add --wait)`);
    return null;
  }
  if (raw.flag("dryRun")) throw usageError("--wait and --dry-run are both given: a dry run sends nothing to wait for");
  return {
    timeoutSeconds: parseOption("--wait-timeout", raw.text("waitTimeout") ?? "15m", parseDuration),
    offlineSeconds: parseOption("--offline-after", raw.text("offlineAfter") ?? "2m", parseDuration),
    failOn: parseOption("--fail-on", raw.text("failOn") ?? "any", oneOf(FAIL_ON)),
  };
}
