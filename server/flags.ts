/**
 * The command line of nix-ota-server.
 * @module
 */
import type { ConfigKey } from "./config.ts";

/** What the command line asks for. */
export type Command =
  | { readonly kind: "help" }
  | { readonly kind: "version" }
  | { readonly kind: "run"; readonly configPath: string | null; readonly settings: Settings }
  | { readonly kind: "check"; readonly configPath: string | null; readonly settings: Settings }
  | {
    readonly kind: "backup";
    readonly configPath: string | null;
    readonly settings: Settings;
    readonly file: string;
  };

/** Settings by their key in the configuration, as JSON values. */
export type Settings = Readonly<Partial<Record<ConfigKey, unknown>>>;

type Reads = "text" | "number" | "flag" | "list";

/** Every flag that sets a key: its name, the key, how its value is read, and what the help says. */
const FLAGS: readonly (readonly [flag: string, key: ConfigKey, reads: Reads, value: string, help: string])[] = [
  ["--listen", "listen", "text", "HOST:PORT", "where to listen (127.0.0.1:8080)"],
  ["--data-dir", "dataDir", "text", "DIR", "where everything is kept (./nix-ota-data)"],
  ["--fleet", "fleet", "text", "NAME", "the fleet's name (default)"],
  [
    "--publish-token-file",
    "publishTokenFile",
    "text",
    "FILE",
    "publish tokens, one a line (made in the data directory)",
  ],
  ["--public-key", "publicKeys", "list", "KEY", "a key that releases must be signed with; may be given again"],
  ["--threshold", "threshold", "number", "N", "how many of the keys must sign (1)"],
  ["--enrolment", "enrolment", "text", "POLICY", "approve, open or token: how unknown devices are treated (approve)"],
  ["--enrol-token-file", "enrolTokenFile", "text", "FILE", "enrolment tokens, one a line"],
  ["--release-reads", "releaseReads", "text", "WHO", "open or enrolled: who may read releases (open)"],
  ["--poll-seconds", "pollSeconds", "number", "N", "how often devices check in, in seconds (60)"],
  ["--public-url", "publicUrl", "text", "URL", "the address that devices use, such as https://ota.example.org"],
  ["--connections-max", "connectionsMax", "number", "N", "connections at once (4096)"],
  ["--connections-per-address-max", "connectionsPerAddressMax", "number", "N", "the same of one address (512)"],
  ["--behind-proxy", "behindProxy", "flag", "", "a reverse proxy guards the server from slow clients"],
  ["--log-level", "logLevel", "text", "LEVEL", "debug, info, warn or error (info)"],
];

/** What `--help` prints. */
export function helpText(): string {
  const flags = FLAGS.map(([flag, , , value, help]) => `  ${`${flag} ${value}`.padEnd(38)}${help}`).join("\n");
  return `nix-ota-server: the control server of a fleet

Usage: nix-ota-server [flags]              serve until SIGTERM or SIGINT
       nix-ota-server backup FILE [flags]  write a consistent copy of the database, also while the server runs
       nix-ota-server --check-config       check the configuration and the files it names, and say what is wrong

  ${"--config FILE".padEnd(38)}a JSON object with the keys below in camelCase; flags win over it
${flags}
  ${"--help, --version".padEnd(38)}

Without flags it listens on this machine only, keeps everything in ./nix-ota-data, makes a publish token there and
says how to publish. Exit codes: 0 done, 1 failed, 2 wrong configuration or command line.
`;
}

/**
 * Reads the command line.
 * @throws {TypeError} Where a flag or word is unknown, or a value is missing.
 */
export function parseArgs(args: readonly string[]): Command {
  if (args.includes("--help") || args.includes("-h")) return { kind: "help" };
  if (args.includes("--version")) return { kind: "version" };
  const settings: Partial<Record<ConfigKey, unknown>> = {};
  const words: string[] = [];
  let configPath: string | null = null;
  let check = false;
  const rest = args.flatMap((arg) => /^--[a-z-]+=/.test(arg) ? splitOnce(arg) : [arg]);
  for (let at = 0; at < rest.length; at += 1) {
    const arg = rest[at] ?? "";
    const known = FLAGS.find(([flag]) => flag === arg);
    if (known?.[2] === "flag") settings[known[1]] = true;
    else if (arg === "--check-config") check = true;
    else if (known !== undefined) setValue(settings, known, valueOf(rest, ++at, arg));
    else if (arg === "--config") configPath = valueOf(rest, ++at, arg);
    else if (arg.startsWith("-")) throw new TypeError(`Cannot use the flag "${arg}"${hintFor(arg)} (see --help)`);
    else words.push(arg);
  }
  return commandOf(words, { configPath, settings }, check);
}

function splitOnce(arg: string): readonly string[] {
  const at = arg.indexOf("=");
  return [arg.slice(0, at), arg.slice(at + 1)];
}

function setValue(settings: Partial<Record<ConfigKey, unknown>>, flag: typeof FLAGS[number], value: string): void {
  const [, key, reads] = flag;
  if (reads === "list") {
    const before = settings[key];
    settings[key] = [...Array.isArray(before) ? before : [], value];
  } else settings[key] = reads === "number" && /^\d{1,15}$/.test(value) ? Number(value) : value;
}

function valueOf(args: readonly string[], at: number, flag: string): string {
  const value = args[at];
  if (value === undefined || value.startsWith("--")) {
    throw new TypeError(`Cannot use ${flag} without a value (see --help)`);
  }
  return value;
}

function commandOf(
  words: readonly string[],
  common: { configPath: string | null; settings: Settings },
  check: boolean,
): Command {
  const [word, file, ...more] = words;
  if (word === undefined) return { kind: check ? "check" : "run", ...common };
  if (word !== "backup") {
    throw new TypeError(`Cannot do "${word}": the only command is backup, without one the server runs (see --help)`);
  }
  if (file === undefined || more.length > 0) throw new TypeError("Cannot back up: wanted one FILE (see --help)");
  return { kind: "backup", ...common, file };
}

/** The flag that was probably meant: the one that shares the longest beginning. */
function hintFor(arg: string): string {
  const all = [...FLAGS.map(([flag]) => flag), "--config", "--check-config", "--help", "--version"];
  const shared = (flag: string): number => [...flag].findIndex((letter, at) => arg[at] !== letter);
  const scored = all.map((flag) => ({ flag, length: shared(flag) < 0 ? flag.length : shared(flag) }));
  const [best] = scored.toSorted((a, b) => b.length - a.length);
  return best !== undefined && best.length >= 5
    ? ` as it is not known (did you mean ${best.flag}?)`
    : " as it is not known";
}
