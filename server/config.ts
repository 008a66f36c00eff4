/**
 * The configuration: read from a file and flags, checked as a whole before anything starts.
 * @module
 */
import {
  type Infer,
  type KeyPolicy,
  LOG_LEVELS,
  messageOf,
  Name,
  parsePublicKey,
  type PublicKey,
  schema,
  SchemaError,
  show,
  SIGNATURES_MAX,
} from "@nix-ota/common";

const { array, boolean, closed, integer, nullable, oneOf, optional, string } = schema;

/** How unknown devices are treated (protocol 4.2). */
export const ENROLMENT_POLICIES = ["approve", "open", "token"] as const;

/** Where the server listens. */
export interface ListenAddress {
  readonly hostname: string;
  /** 0 lets the system choose. */
  readonly port: number;
}

const Path = string({ min: 1, max: 4096, pattern: /^[^\0\n]+$/, wanted: "a path" });

function Listen(value: unknown, at: string): ListenAddress {
  const [, bracketed, plain, digits] = typeof value === "string"
    ? /^(?:\[([0-9a-fA-F:.]{2,45})\]|([A-Za-z0-9.-]{1,253})):(\d{1,5})$/.exec(value) ?? []
    : [];
  const port = Number(digits);
  const hostname = bracketed ?? plain;
  if (hostname === undefined || !(port <= 65_535)) {
    throw new SchemaError(at, `must be HOST:PORT such as 127.0.0.1:8080 or [::1]:8080, found ${show(value)}`);
  }
  return { hostname, port };
}

/** The origin of a URL, as browsers and devices outside see the server. */
function PublicUrl(value: unknown, at: string): string {
  const url = typeof value === "string" && value.length <= 512 ? URL.parse(value) : null;
  const plain = url !== null && ["https:", "http:"].includes(url.protocol) && url.username === "" &&
    url.password === "";
  if (plain && url.pathname === "/" && url.search === "" && url.hash === "") return url.origin;
  // What stands before an @ may be a password.
  const found = String(value).includes("@") ? "one with a user name" : show(value);
  throw new SchemaError(at, `must be an address without a path such as https://ota.example.org, found ${found}`);
}

function Key(value: unknown, at: string): PublicKey {
  if (typeof value !== "string") throw new SchemaError(at, `must be a public key as text, found ${show(value)}`);
  try {
    return parsePublicKey(value);
  } catch (error) {
    throw new SchemaError(at, `must be a public key: ${messageOf(error)}`);
  }
}

/** Everything that can be configured. A key that is absent has the value that is said here. */
export type Config = Infer<typeof Shape>;
const Shape = closed({
  /** The fleet's name, signed into every document. */
  fleet: optional(Name, "default"),
  listen: optional(Listen, { hostname: "127.0.0.1", port: 8080 }),
  /** Everything that is kept: the database, the token, secrets. */
  dataDir: optional(Path, "./nix-ota-data"),
  /** One token a line; null makes one in the data directory. */
  publishTokenFile: optional(nullable(Path), null),
  /** Keys that releases must be signed with; none pins those of the first publish. */
  publicKeys: optional(array(Key, { max: SIGNATURES_MAX }), []),
  /** How many of them must sign. */
  threshold: optional(integer(1, SIGNATURES_MAX), 1),
  enrolment: optional(oneOf(ENROLMENT_POLICIES), "approve"),
  /** One token a line: a device that sends one is accepted. */
  enrolTokenFile: optional(nullable(Path), null),
  /** `enrolled` closes releases to all but accepted devices and publishers. */
  releaseReads: optional(oneOf(["open", "enrolled"]), "open"),
  /** How often devices are asked to check in. They are woken at once by a publish anyway. */
  pollSeconds: optional(integer(5, 86_400), 60),
  /** Whether a reverse proxy stands before the server and guards it from slow clients. */
  behindProxy: optional(boolean, false),
  /** The address that devices and browsers use, for commands that pages show; null takes each request's own. */
  publicUrl: optional(nullable(PublicUrl), null),
  /** Connections at once, where no proxy counts them. */
  connectionsMax: optional(integer(1, 100_000), 4096),
  /** The same, of one address. */
  connectionsPerAddressMax: optional(integer(1, 100_000), 512),
  logLevel: optional(oneOf(LOG_LEVELS), "info"),
});

/** Keys of the configuration. */
export type ConfigKey = keyof Config;

/**
 * Checks settings: the members of the file with those of the flags over them.
 * @param settings A JSON object.
 * @throws {TypeError} One sentence that names the key, what was wanted and what was found.
 */
export function parseConfig(settings: unknown): Config {
  let config: Config;
  try {
    config = Shape(settings, "");
  } catch (error) {
    if (!(error instanceof SchemaError)) throw error;
    throw new TypeError(`Cannot use the configuration: ${error.message.trim()}`, { cause: error });
  }
  const { publicKeys, threshold, enrolment, enrolTokenFile } = config;
  const distinct = new Set(publicKeys.map(({ bytes }) => bytes.toString())).size;
  if (distinct < publicKeys.length) {
    throw new TypeError("Cannot use the configuration: publicKeys names one key twice (a key counts once)");
  }
  if (threshold > Math.max(1, distinct)) {
    throw new TypeError(
      `Cannot use the configuration: threshold must be at most ${Math.max(1, distinct)}, the number of publicKeys, ` +
        `found ${threshold} (name more keys or lower it)`,
    );
  }
  if (enrolment === "token" && enrolTokenFile === null) {
    throw new TypeError(
      'Cannot use the configuration: enrolment is "token" but enrolTokenFile is not set (name a file with one token a line)',
    );
  }
  return config;
}

/** The keys of the configuration as a policy, or null where it names none. */
export function configuredKeys({ publicKeys, threshold }: Config): KeyPolicy | null {
  return publicKeys.length === 0 ? null : { keys: publicKeys, threshold };
}

/**
 * Reads the text of a configuration file.
 * @throws {TypeError} Where it is not a JSON object.
 */
export function parseConfigFile(text: string, path: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new TypeError(`Cannot read the configuration file "${path}" as it is not JSON: ${messageOf(cause)}`, {
      cause,
    });
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return { ...value };
  throw new TypeError(`Cannot read the configuration file "${path}": wanted a JSON object, found ${show(value)}`);
}
