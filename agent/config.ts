/**
 * The agent's configuration: one JSON file, every key checked, every mistake one sentence.
 * @module
 */
import {
  type CacheKey,
  decodeUtf8,
  formatRawPublicKey,
  messageOf,
  Name,
  parseCacheKey,
  parsePublicKey,
  type Parser,
  parseSubstituterUrl,
  type PublicKey,
  schema,
  SchemaError,
  show,
  SystemName,
  type TrustPolicy,
} from "@nix-ota/common";
import type { Files } from "./system.ts";

const { array, boolean, closed, integer, nullable, optional, string } = schema;

/** Largest configuration file in bytes. */
const CONFIG_MAX_BYTES = 256 * 1024;
/** Most public keys: as many as an envelope can have signatures. */
const KEYS_MAX = 16;

/** Where the configuration is unless `--config` says otherwise. */
export const DEFAULT_CONFIG_PATH = "/etc/nix-ota/agent.json";

/** A configuration that was checked. Times in seconds. */
export interface Config {
  /** URL of the server, without a slash at the end. */
  readonly server: string;
  readonly fleet: string;
  readonly channel: string;
  readonly deviceId: string;
  readonly publicKeys: readonly PublicKey[];
  readonly threshold: number;
  /** The device's own cache, asked before those of a release. */
  readonly cache: { readonly url: string; readonly key: CacheKey } | null;
  readonly healthCmd: string | null;
  readonly system: string;
  readonly variant: string;
  readonly stateDir: string;
  readonly profile: string;
  /** What Nix gets as `--store`, or null for its own choice. */
  readonly store: string | null;
  readonly gcRootsDir: string;
  readonly currentSystem: string;
  readonly bootedSystem: string;
  readonly bootIdFile: string;
  readonly nixBinDir: string | null;
  readonly pollSeconds: number;
  readonly stageTimeoutSeconds: number;
  readonly switchTimeoutSeconds: number;
  readonly reserveMiB: number;
  readonly collectGarbage: boolean;
  readonly allowHttp: boolean;
  readonly enrolTokenFile: string | null;
}

/** A configuration that cannot be used. */
export class ConfigError extends Error {
  override readonly name: string = "ConfigError";
}

/** What the machine says of itself, for defaults. */
export interface Defaults {
  readonly hostName: string;
  /** Such as `x86_64-linux`. */
  readonly system: string;
}

function AbsolutePath(value: unknown, at: string): string {
  const good = typeof value === "string" && value.length <= 1024 && /^\/[\x21-\x7e]*$/.test(value) &&
    !value.split("/").includes("..");
  if (!good) {
    throw new SchemaError(at, `must be an absolute path without blanks and "..", found ${show(value)}`);
  }
  return value === "/" ? value : value.replace(/\/+$/, "");
}

function ServerUrl(value: unknown, at: string): string {
  const wanted = 'must be the server\'s URL such as "https://ota.example.org"';
  if (typeof value !== "string" || value.length > 512 || /[\s"'<>\\]/.test(value)) {
    throw new SchemaError(at, `${wanted}, found ${show(value)}`);
  }
  const url = URL.parse(value);
  if (url === null || (url.protocol !== "https:" && url.protocol !== "http:")) {
    throw new SchemaError(at, `${wanted}, found ${show(value)}`);
  }
  if (url.username !== "" || url.password !== "") {
    throw new SchemaError(at, "must not hold a user name or password: devices sign with their own key");
  }
  if (url.search !== "" || url.hash !== "") throw new SchemaError(at, `${wanted}, without ? and #`);
  return `${url.origin}${url.pathname}`.replace(/\/+$/, "");
}

/** Turns an error of a reader into one that names the key. */
function reading<T>(read: (text: string) => T, max: number): Parser<T> {
  return (value, at) => {
    if (typeof value !== "string" || value.length > max) {
      throw new SchemaError(at, `must be text of at most ${max} characters, found ${show(value)}`);
    }
    try {
      return read(value);
    } catch (error) {
      throw new SchemaError(at, `is not usable: ${messageOf(error)}`);
    }
  };
}

function SecretFile(value: unknown, at: string): string {
  const path = AbsolutePath(value, at);
  if (path.startsWith("/nix/store/")) {
    throw new SchemaError(at, `must not be in the Nix store, where everyone can read it, found ${show(path)}`);
  }
  return path;
}

function StoreUri(value: unknown, at: string): string {
  const good = typeof value === "string" && (/^(?:auto|daemon|local)$/.test(value) || /^\/[\x21-\x7e]*$/.test(value));
  if (!good || value.includes("?")) {
    throw new SchemaError(at, `must be null, "auto", "daemon", "local" or an absolute path, found ${show(value)}`);
  }
  return value;
}

const PublicKeyText = reading(parsePublicKey, 1024);

const File = closed({
  server: ServerUrl,
  fleet: optional(Name, "default"),
  channel: Name,
  deviceId: optional(nullable(Name), null),
  publicKey: optional(nullable(PublicKeyText), null),
  publicKeys: optional(nullable(array(PublicKeyText, { min: 1, max: KEYS_MAX })), null),
  threshold: optional(nullable(integer(1, KEYS_MAX)), null),
  cacheUrl: optional(nullable(reading(parseSubstituterUrl, 512)), null),
  cachePublicKey: optional(nullable(reading(parseCacheKey, 512)), null),
  healthCmd: optional(
    nullable(string({ min: 1, max: 4096, wanted: "a shell command of at most 4096 characters" })),
    null,
  ),
  system: optional(nullable(SystemName), null),
  variant: optional(Name, "default"),
  stateDir: optional(AbsolutePath, "/nix/var/nix-ota"),
  profile: optional(AbsolutePath, "/nix/var/nix/profiles/system"),
  store: optional(nullable(StoreUri), null),
  gcRootsDir: optional(AbsolutePath, "/nix/var/nix/gcroots/nix-ota"),
  currentSystem: optional(AbsolutePath, "/run/current-system"),
  bootedSystem: optional(AbsolutePath, "/run/booted-system"),
  bootIdFile: optional(AbsolutePath, "/proc/sys/kernel/random/boot_id"),
  nixBinDir: optional(nullable(AbsolutePath), null),
  pollSeconds: optional(integer(5, 86_400), 60),
  stageTimeoutSeconds: optional(integer(10, 7 * 86_400), 6 * 3600),
  switchTimeoutSeconds: optional(integer(5, 86_400), 600),
  reserveMiB: optional(integer(0, 1024 * 1024), 256),
  collectGarbage: optional(boolean, true),
  allowHttp: optional(boolean, false),
  enrolTokenFile: optional(nullable(SecretFile), null),
});

type FileShape = ReturnType<typeof File>;

/**
 * Reads the text of a configuration file.
 * @throws {ConfigError} With one sentence that names the key, what was wanted and what was found.
 */
export function parseConfig(content: string, defaults: Defaults): Config {
  let value: unknown;
  try {
    value = JSON.parse(content);
  } catch (cause) {
    throw new ConfigError(`Cannot read the configuration as it is not JSON: ${messageOf(cause)}`, { cause });
  }
  try {
    return complete(File(value, ""), defaults);
  } catch (cause) {
    if (!(cause instanceof SchemaError)) throw cause;
    throw new ConfigError(`Cannot use the configuration: ${cause.message}`, { cause });
  }
}

/** Reads a configuration file. @throws {ConfigError} See {@link parseConfig}. */
export async function readConfig(files: Files, path: string, defaults: Defaults): Promise<Config> {
  let text: string;
  try {
    const content = await files.read(path, CONFIG_MAX_BYTES);
    if (content === null) {
      throw new ConfigError(`Cannot read the configuration "${path}": no such file (name one with --config)`);
    }
    text = decodeUtf8(content);
  } catch (cause) {
    if (cause instanceof ConfigError) throw cause;
    throw new ConfigError(`Cannot read the configuration "${path}": ${messageOf(cause)}`, { cause });
  }
  try {
    return parseConfig(text, defaults);
  } catch (cause) {
    if (cause instanceof ConfigError) throw new ConfigError(`${cause.message} (in "${path}")`, { cause });
    throw cause;
  }
}

function complete(file: FileShape, defaults: Defaults): Config {
  const { publicKey, publicKeys, threshold, cacheUrl, cachePublicKey, deviceId, system, ...rest } = file;
  const config = {
    ...rest,
    ...keysOf({ publicKey, publicKeys, threshold }),
    cache: cacheOf({ cacheUrl, cachePublicKey }),
    deviceId: deviceId ?? deviceIdOf(defaults.hostName),
    system: system ?? defaults.system,
  };
  checkHttp(config);
  return config;
}

function keysOf(
  { publicKey, publicKeys, threshold }: Pick<FileShape, "publicKey" | "publicKeys" | "threshold">,
): Pick<Config, "publicKeys" | "threshold"> {
  if (publicKey !== null && publicKeys !== null) {
    throw new SchemaError("publicKey", "must not be given beside publicKeys (put every key into publicKeys)");
  }
  const keys = publicKeys ?? (publicKey === null ? null : [publicKey]);
  if (keys === null) {
    throw new SchemaError("publicKey", "is missing: wanted the key that signs releases, as nix-ota keygen prints it");
  }
  const distinct = new Set(keys.map(formatRawPublicKey)).size;
  if (distinct < keys.length) throw new SchemaError("publicKeys", "must not hold one key twice");
  if (keys.length > 1 && threshold === null) {
    throw new SchemaError("threshold", `is missing: wanted how many of the ${keys.length} keys must sign`);
  }
  if ((threshold ?? 1) > keys.length) {
    throw new SchemaError("threshold", `must be at most ${keys.length}, the number of keys, found ${threshold}`);
  }
  return { publicKeys: keys, threshold: threshold ?? 1 };
}

function cacheOf(
  { cacheUrl, cachePublicKey }: Pick<FileShape, "cacheUrl" | "cachePublicKey">,
): Config["cache"] {
  if (cacheUrl === null && cachePublicKey === null) return null;
  if (cacheUrl === null) throw new SchemaError("cacheUrl", "is missing beside cachePublicKey");
  if (cachePublicKey === null) {
    throw new SchemaError("cachePublicKey", "is missing beside cacheUrl: nothing unsigned is taken from a cache");
  }
  return { url: cacheUrl.href, key: cachePublicKey };
}

function deviceIdOf(hostName: string): string {
  try {
    return Name(hostName, "deviceId");
  } catch {
    throw new SchemaError(
      "deviceId",
      `is missing, and the host name ${show(hostName)} cannot stand in: wanted 1 to 63 characters a-z, 0-9 and -`,
    );
  }
}

function checkHttp({ server, cache, allowHttp }: Pick<Config, "server" | "cache" | "allowHttp">): void {
  if (allowHttp) return;
  const wanted = "must begin with https:// (or set allowHttp to true where the network is trusted)";
  if (server.startsWith("http:")) throw new SchemaError("server", `${wanted}, found ${show(server)}`);
  if (cache?.url.startsWith("http:")) throw new SchemaError("cacheUrl", `${wanted}, found ${show(cache.url)}`);
}

/** The effective configuration for people, without anything secret. */
export function showConfig(config: Config): string {
  const { publicKeys, cache, ...rest } = config;
  const shown = {
    ...rest,
    publicKeys: publicKeys.map(formatRawPublicKey),
    cacheUrl: cache?.url ?? null,
    cachePublicKey: cache?.key.text ?? null,
  };
  return JSON.stringify(shown, null, 2);
}

/** Whom the device trusts about its channel. */
export function trustPolicyOf({ fleet, channel, publicKeys, threshold }: Config): TrustPolicy {
  return { fleet, channel, keys: publicKeys, threshold };
}

/** Nix's name for a machine, from what the runtime calls its architecture. */
export function systemOf(arch: string): string {
  return `${arch}-linux`;
}
