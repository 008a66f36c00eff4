/**
 * `nix-ota verify`: says whether a device with these keys would believe a release.
 * @module
 */
import {
  ENVELOPE_MAX_BYTES,
  fingerprintOf,
  Name,
  OtaError,
  parseEnvelope,
  parseRelease,
  parseTimestamp,
  type PublicKey,
  type Release,
  signersOf,
  verifyRelease,
} from "@nix-ota/common";
import type { Bytes } from "@nix-ota/common";
import {
  type CommandSpec,
  type Context,
  missingOption,
  parseOption,
  quoted,
  type Raw,
  wholeNumber,
} from "../context.ts";
import { CliError, EXIT } from "../errors.ts";
import { readInput } from "../files.ts";
import { readPublicKeys } from "../public_keys.ts";
import { formatReleaseLines } from "../release_view.ts";

/** The command. */
export const verify: CommandSpec = {
  name: "verify",
  summary: "check a signed release as a device does",
  args: [{ name: "<file>", about: "an envelope, such as publish --out wrote; - reads stdin" }],
  options: [
    {
      flags: "--public-key <key>",
      about: "trusted key: base64, OpenSSH line, or a .pub file (repeatable)",
      repeat: true,
    },
    { flags: "--threshold <n>", about: "how many of the keys must have signed (default: 1)" },
    { flags: "--fleet <name>", about: "the fleet it must be for (default: default)" },
    { flags: "--channel <name>", about: "the channel it must be for (default: whatever it says)" },
  ],
  examples: [
    { about: "One key", command: "nix-ota verify release.json --public-key sign.key.pub" },
    {
      about: "Two of three",
      command: "nix-ota verify release.json --public-key a.pub --public-key b.pub --public-key c.pub --threshold 2",
    },
  ],
  notes: ["Exits with 3 where the release would be refused, an expired one included."],
  run,
};

async function run(raw: Raw, { ui, now }: Context): Promise<number> {
  const [file = ""] = raw.args;
  const keys = await readPublicKeys(raw.list("publicKey"), "--public-key");
  if (keys.length === 0) throw missingOption("--public-key", "at least one trusted key", "sign.key.pub");
  const threshold = parseOption("--threshold", raw.text("threshold") ?? "1", wholeNumber(1, keys.length));
  const fleet = parseOption("--fleet", raw.text("fleet") ?? "default", Name);
  const typedChannel = raw.text("channel");
  const channel = typedChannel === undefined ? null : parseOption("--channel", typedChannel, Name);
  const bytes = await readInput(file, { what: "the release", maxBytes: ENVELOPE_MAX_BYTES });
  const { release, digest } = await check(bytes, { file, keys, threshold, fleet, channel, nowMs: now() });
  const signers = await signersOf(parseEnvelope(bytes), keys);
  const signatures = await Promise.all(signers.map(async (key) => `${await fingerprintOf(key)}${label(key)}`));
  const { style } = ui;
  ui.result([
    style.green(style.bold(`VERIFIED: ${signers.length} of ${threshold} needed signatures by trusted keys`)),
    ...(channel === null ? [style.dim("The channel was not compared (give --channel to do so)")] : []),
    "",
    ...formatReleaseLines(release, { digest, signatures, nowMs: now(), style }),
  ]);
  ui.data({ verified: true, digest, signers: await Promise.all(signers.map(fingerprintOf)), threshold, release });
  return EXIT.ok;
}

function label({ name }: PublicKey): string {
  return name === null ? "" : ` (${name})`;
}

async function check(bytes: Bytes, { file, keys, threshold, fleet, channel, nowMs }: {
  file: string;
  keys: readonly PublicKey[];
  threshold: number;
  fleet: string;
  channel: string | null;
  nowMs: number;
}): Promise<{ release: Release; digest: string }> {
  try {
    const policy = { keys, threshold, fleet, channel: channel ?? claimedChannel(bytes) };
    const { release, digest } = await verifyRelease(bytes, policy);
    if (nowMs >= (parseTimestamp(release.expires) ?? 0)) {
      throw new OtaError("release_expired", `Cannot take the release as it expired at ${release.expires}`);
    }
    return { release, digest };
  } catch (error) {
    if (!(error instanceof OtaError)) throw error;
    throw new CliError(EXIT.refused, `${quoted(file)} is NOT VERIFIED: ${error.message}`, {
      code: error.code,
      cause: error,
    });
  }
}

/** The channel that the payload names; empty, and so refused, where there is none. Every other check comes first. */
function claimedChannel(bytes: Bytes): string {
  try {
    return parseRelease(parseEnvelope(bytes).payload).channel;
  } catch {
    return "";
  }
}
