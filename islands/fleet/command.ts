/**
 * Commands to copy into a shell.
 * @module
 */
import { cleanLine, type DeviceRow } from "@nix-ota/common";

/** Longest word of a command, in UTF-16 code units: longer than any name, path or fingerprint. */
const WORD_MAX = 300;

/**
 * One word of a POSIX shell's command line: quoted where it holds anything a shell could act on, and always on one
 * line, for a line end in pasted text runs it.
 */
export function shellWord(text: string): string {
  const word = cleanLine(text, WORD_MAX);
  return /^[A-Za-z0-9][A-Za-z0-9:/+=._@-]*$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** The server writes the token into its data directory; where the operator keeps it is not known here. */
const TOKEN_FLAG = "--token-file ./publish-token";

/** The command that lets a device in: the fingerprint makes sure that it is the one meant. */
export function acceptCommand(device: Pick<DeviceRow, "deviceId" | "fingerprint">, origin: string): string {
  const name = shellWord(device.deviceId);
  const to = `--server ${shellWord(origin)} ${TOKEN_FLAG}`;
  return `nix-ota devices accept ${name} --fingerprint ${shellWord(device.fingerprint)} ${to}`;
}

/** Makes a release key. */
export const KEYGEN_COMMAND = "nix-ota keygen --out ./sign.key";

/** Publishes the system that `nix build` left in `./result`. */
export function publishCommand(origin: string, channel: string): string {
  return [
    `nix-ota publish --server ${shellWord(origin)} ${TOKEN_FLAG} --key ./sign.key`,
    `--channel ${shellWord(channel)} --store-path ./result --substituter https://cache.example.org --wait`,
  ].join(" \\\n  ");
}

/** The configuration of a device's agent; what is in angle brackets is the reader's to fill in. */
export function agentConfig(origin: string, channel: string): string {
  const config = {
    server: origin,
    channel,
    deviceId: "fridge-007",
    publicKey: "<what keygen printed>",
    healthCmd: "systemctl is-active --quiet fridge.service",
  };
  return JSON.stringify(config, null, 2);
}
