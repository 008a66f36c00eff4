/**
 * `nix-ota publish`: from a system in the local store to a release that devices take.
 * @module
 */
import {
  equalBytes,
  fingerprintOf,
  formatBytes,
  formatTimestamp,
  parseStorePath,
  type PublicKey,
  type Signer,
  type VerifiedRelease,
} from "@nix-ota/common";
import type { Api } from "../api.ts";
import type { Preflight } from "../cache.ts";
import { readChanges, showChanges, type TargetChanges } from "../changes.ts";
import { readClosure } from "../closure.ts";
import { openApi } from "../connection.ts";
import { checkInterrupted, type CommandSpec, type Context, quoted, type Raw } from "../context.ts";
import { CliError, EXIT, usageError } from "../errors.ts";
import { directoryOf, fileReason, replaceFile } from "../files.ts";
import { followRollout, type Rollout, rolloutData, showRollout } from "../follow.ts";
import { distinctPaths, runPreflight } from "../preflight.ts";
import { readPublicKeys } from "../public_keys.ts";
import { type Publication, publish as send, readVerifiedCurrent, sendListings, signNext } from "../publishing.ts";
import type { PlannedTarget, SignedRelease } from "../release_plan.ts";
import { ROLLOUT_EXIT } from "../rollout.ts";
import { readSigner } from "../signer/key_file.ts";
import { passphraseFor } from "../signer/passphrase_source.ts";
import { parsePublishOptions, PUBLISH_OPTIONS, type PublishOptions } from "./publish_options.ts";

/** The command. */
export const publish: CommandSpec = {
  name: "publish",
  summary: "check, sign and publish a system as the next release of a channel",
  options: PUBLISH_OPTIONS,
  examples: [
    {
      about: "Publish what nix build made",
      command: "nix-ota publish --server https://ota.example.org --token-file ./token --key ./sign.key \\\n" +
        "    --channel prod --store-path ./result --substituter https://cache.example.org \\\n" +
        "    --substituter-key fleet-1:AAAA…= --notes 'openssl 3.0.14'",
    },
    { about: "See what would happen", command: "nix-ota publish … --dry-run" },
    {
      about: "In CI: follow the devices, fail with them",
      command: "nix-ota publish … --wait --wait-timeout 30m --json",
    },
    {
      about: "One release for two kinds of device, signed by two people",
      command: "nix-ota publish … --variant pi4=./result-pi4 --variant x86=./result-x86 --key a.key --key b.key",
    },
  ],
  notes: [
    "Nothing is signed or sent unless every path of the closure is in a binary cache that the release names, with the " +
    "content of the store here and a signature by a key that the release names.",
  ],
  run,
};

async function run(raw: Raw, context: Context): Promise<number> {
  const options = parsePublishOptions(raw);
  const api = await openApi(raw, context, { token: options.dryRun ? "optional" : "required" });
  checkOutFile(options.out);
  const trusted = await readPublicKeys(options.trust, "--trust");
  const signers = await readSigners(options);
  const targets = await readTargets(options, context);
  const caches = options.substituters;
  const preflight = await runPreflight(context, { targets, caches, keys: options.substituterKeys });
  const publication = toPublication(options, { api, targets, signers, trusted });
  const current = await readVerifiedCurrent(publication);
  checkInterrupted(context, "publishing: nothing was sent");
  showCurrent(context, current);
  const changes = await readChanges(api, { targets, current: current?.release ?? null, found: preflight.found });
  showChanges(context, changes);
  const first = { current, signed: await signNext(publication, current, context.now()) };
  await showSigned(context, first.signed, signers);
  const signed = options.dryRun ? first.signed : await send(publication, context, first);
  writeOut(options.out, signed);
  if (options.dryRun) context.ui.step("info", "dry run", "nothing was sent");
  else await finish(publication, context, signed);
  const rollout = await follow(api, context, { options, signed });
  const facts = await report({ options, api, signed, signers, targets, changes, preflight });
  context.ui.data({ ...facts, rollout: rollout === null ? null : rolloutData(rollout) });
  showResult(context, signed, options);
  return rollout === null ? EXIT.ok : ROLLOUT_EXIT[rollout.end];
}

/** Follows the devices with `--wait`; null without. */
async function follow(
  api: Api,
  context: Context,
  { options, signed }: { options: PublishOptions; signed: SignedRelease },
): Promise<Rollout | null> {
  if (options.wait === null) return null;
  const { timeoutSeconds, offlineSeconds, failOn } = options.wait;
  const { channel, revision } = signed.release;
  const what = { channel, revision, timeoutSeconds, rule: { offlineSeconds, failOn } };
  const rollout = await followRollout(api, context, what);
  showRollout(context, rollout, what);
  return rollout;
}

/** What comes after the server took the release; a lost listing is worth a warning, not a failure. */
async function finish(publication: Publication, { ui }: Context, signed: SignedRelease): Promise<void> {
  ui.step("ok", "published", `revision ${signed.release.revision} on channel ${signed.release.channel}`);
  try {
    await sendListings(publication, signed);
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    ui.step(
      "warn",
      "listing",
      `${error.message}; devices do without, only package lists on the dashboard will be missing`,
    );
  }
}

async function readSigners(options: PublishOptions): Promise<readonly Signer[]> {
  const ask = passphraseFor(options.passphraseFile);
  const signers: Signer[] = [];
  for (const file of options.keyFiles) {
    const signer = await readSigner(file, ask);
    if (signers.some(({ publicKey }) => equalBytes(publicKey.bytes, signer.publicKey.bytes))) {
      throw usageError(`--key names the same key twice: ${quoted(file)}`);
    }
    signers.push(signer);
  }
  return signers;
}

async function readTargets(options: PublishOptions, { ui, signal }: Context): Promise<readonly PlannedTarget[]> {
  const targets: PlannedTarget[] = [];
  for (const { variant, path } of options.targets) {
    const line = ui.progress();
    line.update({ label: "closure", done: 0, total: 0, detail: `walking ${path}` });
    const closure = await readClosure(path, { system: options.system, signal }).finally(line.end);
    if (targets.some((other) => other.variant === variant && other.closure.system === closure.system)) {
      throw usageError(`Cannot publish two systems for ${closure.system}, variant ${variant}: wanted one`);
    }
    targets.push({ variant, closure });
    const { name } = parseStorePath(closure.storePath);
    const { paths, narSize } = closure.summary;
    const label = options.targets.length > 1 ? `${variant}: ` : "";
    ui.step("ok", "closure", `${label}${name}, ${closure.system}, ${paths} paths, ${formatBytes(narSize)}`);
  }
  return targets;
}

function toPublication(
  options: PublishOptions,
  { api, targets, signers, trusted }: Pick<Publication, "api" | "targets" | "signers" | "trusted">,
): Publication {
  const keys = options.substituterKeys.map(({ text }) => text);
  return {
    api,
    targets,
    signers,
    trusted: [...signers.map((signer): PublicKey => signer.publicKey), ...trusted],
    choices: { ...options, substituters: options.substituters.map((url) => ({ url, keys })) },
  };
}

/** A current release may be so much newer than the clock here before that is worth a warning, in milliseconds. */
const CLOCK_TOLERANCE_MS = 300_000;

function showCurrent({ ui, now }: Context, current: VerifiedRelease | null): void {
  if (current === null) return ui.step("ok", "current", "none: this is the first release of the channel");
  const { revision, issued, expires } = current.release;
  const expired = formatTimestamp(now()) >= expires ? ", expired" : "";
  ui.step("ok", "current", `revision ${revision} of ${issued}${expired}, its signature is good`);
  if (issued > formatTimestamp(now() + CLOCK_TOLERANCE_MS)) {
    ui.step("warn", "clock", `the current release is of ${issued}, which is later than the clock here says: check it`);
  }
}

async function showSigned(
  { ui }: Context,
  { release, digest }: SignedRelease,
  signers: readonly Signer[],
): Promise<void> {
  const fingerprints = await Promise.all(signers.map(({ publicKey }) => fingerprintOf(publicKey)));
  ui.step(
    "ok",
    "signed",
    `revision ${release.revision} by ${fingerprints.join(" and ")}, good until ${release.expires}`,
  );
  ui.detail(digest);
}

/** Whether the file can be written, before anything is published. */
function checkOutFile(out: string | null): void {
  if (out === null) return;
  if (out === "" || out.endsWith("/")) throw usageError(`--out must name a file, found ${quoted(out)}`);
  try {
    Deno.removeSync(Deno.makeTempFileSync({ dir: directoryOf(out), prefix: ".nix-ota-" }));
  } catch (error) {
    throw usageError(`--out cannot be written in ${quoted(directoryOf(out))}: ${fileReason(error)}`, error);
  }
}

function writeOut(out: string | null, { envelope }: SignedRelease): void {
  if (out === null) return;
  try {
    replaceFile({ path: out, content: envelope, mode: 0o644 });
  } catch (error) {
    throw new CliError(
      EXIT.unexpected,
      `Cannot write ${quoted(out)}: ${fileReason(error)} (the release itself stands)`,
      {
        cause: error,
      },
    );
  }
}

async function report({ options, api, signed, signers, targets, changes, preflight }: {
  options: PublishOptions;
  api: Api;
  signed: SignedRelease;
  signers: readonly Signer[];
  targets: readonly PlannedTarget[];
  changes: readonly TargetChanges[];
  preflight: Preflight;
}): Promise<object> {
  const { release, digest } = signed;
  return {
    published: !options.dryRun,
    server: api.server,
    fleet: release.fleet,
    channel: release.channel,
    revision: release.revision,
    digest,
    prev: release.prev,
    expires: release.expires,
    signers: await Promise.all(signers.map(({ publicKey }) => fingerprintOf(publicKey))),
    cache: {
      paths: distinctPaths(targets).length,
      contentAddressed: [...preflight.found.values()].filter(({ keyName }) => keyName === null).length,
      warnings: preflight.warnings.length,
    },
    targets: targets.map(({ variant, closure: { system, storePath, narHash, summary } }, at) => ({
      system,
      variant,
      storePath,
      narHash,
      closure: summary,
      downloadSize: changes[at]?.downloadSize ?? null,
      difference: toJson(changes[at]?.difference ?? null),
    })),
  };
}

function toJson(difference: TargetChanges["difference"]): unknown {
  if (difference === null) return null;
  const { added, removed, packages, narGrowth } = difference;
  return {
    added: added.map(({ storePath }) => storePath),
    removed: removed.map(({ storePath }) => storePath),
    packages,
    narGrowth,
  };
}

function showResult({ ui }: Context, { release, digest }: SignedRelease, { dryRun }: PublishOptions): void {
  ui.result([`${release.channel} ${release.revision} ${digest}${dryRun ? " (not sent)" : ""}`]);
}
