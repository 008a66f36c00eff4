/**
 * `nix-ota keygen`: makes a release key.
 * @module
 */
import {
  fingerprintOf,
  formatOpenSshPublicKey,
  formatPrivateKeyPem,
  formatRawPublicKey,
  generateKey,
} from "@nix-ota/common";
import { type CommandSpec, type Context, missingOption, parseOption, quoted, type Raw } from "../context.ts";
import { CliError, EXIT, usageError } from "../errors.ts";
import { baseOf, createFiles, fileReason } from "../files.ts";
import { checkNewPassphrase, readPassphraseFile } from "../signer/passphrase.ts";
import { newPassphrase } from "../signer/passphrase_source.ts";
import { encryptPkcs8 } from "../signer/pbes2.ts";

/** The command. */
export const keygen: CommandSpec = {
  name: "keygen",
  summary: "make a release key; keep the private half offline",
  options: [
    { flags: "--out <file>", about: "where to write the private key; the public one goes to <file>.pub" },
    { flags: "--name <name>", about: "comment in the public key (default: the name of the file)" },
    { flags: "--passphrase-file <file>", about: "encrypt with the passphrase in this file, such as /dev/fd/3" },
    { flags: "--passphrase-prompt", about: "encrypt with a passphrase asked for on the terminal" },
  ],
  examples: [
    { about: "A key for CI, kept in its secret store", command: "nix-ota keygen --out ./sign.key" },
    {
      about: "A key for a person, encrypted",
      command: "nix-ota keygen --out ~/keys/ada.key --name ada --passphrase-prompt",
    },
  ],
  notes: [
    "An existing file is never overwritten. The key is PKCS#8 PEM with mode 0600, the public one an OpenSSH line.",
  ],
  run,
};

interface KeygenOptions {
  readonly out: string;
  readonly name: string;
  readonly passphrase: "none" | "prompt" | { readonly file: string };
}

/** Reads the options of `keygen`. @throws {CliError} With exit code 2. */
export function parseKeygenOptions(raw: Raw): KeygenOptions {
  const out = raw.text("out");
  if (out === undefined || out === "") throw missingOption("--out", "the file for the private key", "./sign.key");
  if (out.endsWith("/") || out.includes("\0")) throw usageError(`--out must name a file, found ${quoted(out)}`);
  const file = raw.text("passphraseFile");
  if (file !== undefined && raw.flag("passphrasePrompt")) {
    throw usageError("--passphrase-file and --passphrase-prompt are both given: wanted one of them");
  }
  const stem = baseOf(out).replace(/\.(?:key|pem)$/, "").replaceAll(/[^A-Za-z0-9._@-]/g, "-").slice(0, 64);
  return {
    out,
    name: parseOption("--name", raw.text("name") ?? (stem || "nix-ota"), (value, at) => {
      if (/^[A-Za-z0-9._@-]{1,64}$/.test(value)) return value;
      throw usageError(`${at} must be 1 to 64 characters A-Za-z0-9._@-, found ${quoted(value)}`);
    }),
    passphrase: file !== undefined ? { file } : raw.flag("passphrasePrompt") ? "prompt" : "none",
  };
}

async function run(raw: Raw, { ui }: Context): Promise<number> {
  const { out, name, passphrase } = parseKeygenOptions(raw);
  const publicPath = `${out}.pub`;
  for (const path of [out, publicPath]) await checkFree(path);
  const secret = await passphraseOf(passphrase, out);
  const { pkcs8, signer } = await generateKey(name);
  const pem = secret === null ? formatPrivateKeyPem(pkcs8) : await encryptPkcs8(pkcs8, secret);
  const publicKey = formatRawPublicKey(signer.publicKey);
  const openSsh = formatOpenSshPublicKey(signer.publicKey);
  writeKeys(out, [{ path: out, content: pem, mode: 0o600 }, {
    path: publicPath,
    content: `${openSsh}\n`,
    mode: 0o644,
  }]);
  const fingerprint = await fingerprintOf(signer.publicKey);
  const { style } = ui;
  ui.result([
    `${style.bold("public key")}   ${style.green(publicKey)}`,
    `${style.bold("fingerprint")}  ${fingerprint}`,
    `${style.bold("files")}        ${out}${secret === null ? "" : ", encrypted"} (private), ${publicPath}`,
    "",
    "Give every device of the fleet the public key: as publicKey in its agent's configuration.",
    "",
    "Keep the private key offline or in CI's secret store, and a copy in a safe place: whoever",
    "has it decides what devices run, and without it no device takes another release.",
    "",
    "Next:",
    `  nix-ota publish --key ${out} --channel <name> --store-path ./result \\`,
    "    --substituter <cache url> --substituter-key <name:base64> \\",
    "    --server <url> --token-file <file>",
  ]);
  ui.data({
    privateKeyFile: out,
    publicKeyFile: publicPath,
    publicKey,
    openSsh,
    fingerprint,
    encrypted: secret !== null,
  });
  return EXIT.ok;
}

async function passphraseOf(source: KeygenOptions["passphrase"], out: string): Promise<string | null> {
  if (source === "none") return null;
  return checkNewPassphrase(source === "prompt" ? await newPassphrase(out) : await readPassphraseFile(source.file));
}

async function checkFree(path: string): Promise<void> {
  const there = await Deno.lstat(path).then(() => true, () => false);
  if (there) throw exists(path);
}

function exists(path: string): CliError {
  return usageError(
    `Cannot write ${quoted(path)} as it already exists: a key is never overwritten (choose another --out)`,
  );
}

function writeKeys(out: string, files: Parameters<typeof createFiles>[0]): void {
  try {
    createFiles(files);
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) throw exists(out);
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.PermissionDenied) {
      throw usageError(
        `Cannot write ${quoted(out)}: ${fileReason(error)} (choose a directory that you can write to)`,
        error,
      );
    }
    throw new CliError(EXIT.unexpected, `Cannot write ${quoted(out)}: ${fileReason(error)}`, { cause: error });
  }
}
