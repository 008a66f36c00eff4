/**
 * The options that every command which speaks with a server has: `--server` and the token.
 * @module
 */
import { decodeUtf8 } from "@nix-ota/common";
import { type Api, REQUEST_TIMEOUT_MS } from "./api.ts";
import { type Context, grouped, missingOption, type OptionSpec, quoted, type Raw } from "./context.ts";
import { interrupted, usageError } from "./errors.ts";
import { readInput } from "./files.ts";
import { processTerminal, promptSecret } from "./ui/prompt.ts";

/** Longest server URL in UTF-16 code units. */
const SERVER_URL_MAX = 512;
/** Largest token file in bytes. */
const TOKEN_MAX_BYTES = 1024;

/** The options, for the help. */
export const CONNECTION_OPTIONS: readonly OptionSpec[] = grouped("Server", [
  { flags: "--server <url>", about: "address of the control server [env NIX_OTA_SERVER]" },
  { flags: "--token <token>", about: "access token; - reads it from stdin, which keeps it out of process lists" },
  { flags: "--token-file <file>", about: "file with the access token [env NIX_OTA_TOKEN_FILE]" },
  { flags: "--allow-http", about: "send the token over plain http to another machine" },
]);

/**
 * Reads the address of a server: http or https, nothing but host, port and path.
 * @throws {CliError} With exit code 2. The text is not quoted where it may hold a password.
 */
export function parseServerUrl(text: string, { allowHttp }: { allowHttp: boolean }): string {
  const url = text.length <= SERVER_URL_MAX ? URL.parse(text) : null;
  if (url === null || (url.protocol !== "http:" && url.protocol !== "https:")) {
    throw usageError(`--server must be an http or https URL such as https://ota.example.org, found ${quoted(text)}`);
  }
  if (url.username !== "" || url.password !== "") throw usageError("--server must have no user name or password in it");
  if (url.search !== "" || url.hash !== "") {
    throw usageError(`--server must have no ? or # in it, found ${quoted(text)}`);
  }
  if (url.protocol === "http:" && !isLoopback(url.hostname) && !allowHttp) {
    throw usageError(
      `--server must be https, found ${quoted(text)}: over http everybody on the way can read the token ` +
        "(add --allow-http where the way is safe)",
    );
  }
  return `${url.origin}${url.pathname}`.replace(/\/+$/, "");
}

/** Whether a host name of a URL is this machine itself. */
export function isLoopback(hostname: string): boolean {
  return /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/.test(hostname);
}

/**
 * Reads a token: visible ASCII characters on one line. It is never quoted.
 * @param from Where it came from, such as `--token-file`.
 */
export function parseToken(text: string, from: string): string {
  const token = text.trim();
  if (token === "") throw usageError(`${from} is empty: wanted an access token`);
  if (!/^[\x21-\x7e]{1,256}$/.test(token)) {
    throw usageError(`${from} holds no access token: wanted one line of at most 256 visible ASCII characters`);
  }
  return token;
}

async function readToken(raw: Raw, context: Context): Promise<string | null> {
  const typed = raw.text("token");
  const file = raw.text("tokenFile");
  if (typed !== undefined && file !== undefined) {
    throw usageError("--token and --token-file are both given: wanted one of them");
  }
  if (typed === "-") return parseToken(await readStdin(), "--token -");
  if (typed !== undefined) return parseToken(typed, "--token");
  const path = file ?? context.env("NIX_OTA_TOKEN_FILE");
  if (path === undefined || path === "") return null;
  return parseToken(await readText(path, "the token file"), file === undefined ? "NIX_OTA_TOKEN_FILE" : "--token-file");
}

/** The token from stdin; from a person at a terminal without showing it. */
async function readStdin(): Promise<string> {
  const terminal = processTerminal();
  if (!terminal.isTerminal) return await readText("-", "the token on stdin");
  const typed = await promptSecret("Access token: ", terminal);
  if (typed === null) throw interrupted("asking for the token");
  return typed;
}

async function readText(path: string, what: string): Promise<string> {
  const bytes = await readInput(path, { what, maxBytes: TOKEN_MAX_BYTES });
  try {
    return decodeUtf8(bytes);
  } catch {
    throw usageError(`Cannot read ${what} as it is not text`);
  }
}

/** The server that a command was told to speak with. @throws {CliError} With exit code 2. */
export async function openApi(
  raw: Raw,
  context: Context,
  { token }: { token: "required" | "optional" } = { token: "required" },
): Promise<Api> {
  const server = raw.text("server") ?? context.env("NIX_OTA_SERVER");
  if (server === undefined || server === "") {
    throw missingOption("--server", "the address of the control server", "https://ota.example.org");
  }
  const href = parseServerUrl(server, { allowHttp: raw.flag("allowHttp") });
  const read = await readToken(raw, context);
  if (read === null && token === "required") {
    throw missingOption("--token-file", "a file with the access token, or --token - to read it from stdin", "./token");
  }
  const { signal, random, now } = context;
  return { server: href, token: read, signal, random, now, timeoutMs: REQUEST_TIMEOUT_MS };
}
