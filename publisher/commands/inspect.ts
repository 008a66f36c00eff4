/**
 * `nix-ota inspect`: shows what a signed release says, without believing it.
 * @module
 */
import { digestOf, ENVELOPE_MAX_BYTES, OtaError, parseEnvelope, parseRelease, PAYLOAD_TYPES } from "@nix-ota/common";
import { type CommandSpec, type Context, quoted, type Raw } from "../context.ts";
import { EXIT, usageError } from "../errors.ts";
import { readInput } from "../files.ts";
import { formatReleaseLines } from "../release_view.ts";

/** The command. */
export const inspect: CommandSpec = {
  name: "inspect",
  summary: "show what a signed release says, without verifying it",
  args: [{ name: "<file>", about: "an envelope, such as publish --out wrote; - reads stdin" }],
  options: [],
  examples: [
    { about: "What is in this file?", command: "nix-ota inspect release.json" },
    {
      about: "What does the server offer?",
      command: "curl -s https://ota.example.org/channels/prod/current | nix-ota inspect -",
    },
  ],
  run,
};

async function run(raw: Raw, { ui, now }: Context): Promise<number> {
  const [file = ""] = raw.args;
  const bytes = await readInput(file, { what: "the release", maxBytes: ENVELOPE_MAX_BYTES });
  try {
    const envelope = parseEnvelope(bytes);
    if (envelope.payloadType !== PAYLOAD_TYPES.release) {
      throw usageError(
        `Cannot show ${quoted(file)} as it is no release: its payload type is ${quoted(envelope.payloadType)}`,
      );
    }
    const release = parseRelease(envelope.payload);
    const digest = await digestOf(envelope.payload);
    const signatures = envelope.signatures.map(({ keyid }) => keyid);
    ui.result([
      ui.style.yellow(ui.style.bold("NOT VERIFIED: nobody's signature was checked (use nix-ota verify)")),
      "",
      ...formatReleaseLines(release, { digest, signatures, nowMs: now(), style: ui.style }),
    ]);
    ui.data({ verified: false, digest, signatures, release });
    return EXIT.ok;
  } catch (error) {
    if (!(error instanceof OtaError)) throw error;
    throw usageError(`Cannot show ${quoted(file)}: ${error.message}`, error);
  }
}
