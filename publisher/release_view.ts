/**
 * A release as people read it.
 * @module
 */
import {
  cleanLine,
  cleanText,
  formatBytes,
  formatDuration,
  NOTES_MAX,
  parseStorePath,
  parseTimestamp,
  type Release,
} from "@nix-ota/common";
import type { Style } from "./ui/style.ts";

const LABEL_COLUMNS = 13;

/** The lines of a release; everything in them that others wrote is cleaned of control characters. */
export function formatReleaseLines(
  release: Release,
  { digest, signatures, nowMs, style }: {
    digest: string;
    signatures: readonly string[];
    nowMs: number;
    style: Style;
  },
): string[] {
  const row = (label: string, text: string): string => `${style.bold(label.padEnd(LABEL_COLUMNS))}${text}`;
  const lines = [
    row("channel", `${release.channel}${style.dim(`  fleet ${release.fleet}`)}`),
    row("revision", String(release.revision)),
    row("digest", digest),
    row("follows", release.prev ?? "nothing: it is the first of its channel"),
    row("issued", release.issued),
    row("expires", `${release.expires}${style.dim(`  ${untilExpiry(release, nowMs)}`)}`),
    row("apply", `${release.apply.mode}, health checked for ${formatDuration(release.apply.healthSeconds)}`),
    ...signatures.map((keyid, at) => row(at === 0 ? "signatures" : "", cleanLine(keyid, 128))),
  ];
  for (const { url, keys } of release.substituters) {
    lines.push(row("cache", `${url}${style.dim(`  ${keyNames(keys)}`)}`));
  }
  for (const { system, variant, storePath, closure } of release.targets) {
    lines.push(row("target", `${parseStorePath(storePath).name}${style.dim(`  ${system}, variant ${variant}`)}`));
    lines.push(row("", style.dim(`${closure.paths} paths, ${formatBytes(closure.narSize)}`)));
    lines.push(row("", style.dim(storePath)));
  }
  if (release.notes !== "") {
    const [first = "", ...rest] = cleanText(release.notes).slice(0, NOTES_MAX).split("\n");
    lines.push(row("notes", first), ...rest.map((line) => row("", line)));
  }
  return lines;
}

function keyNames(keys: readonly string[]): string {
  return `signed by ${keys.map((key) => key.slice(0, key.indexOf(":"))).join(" or ")}`;
}

function untilExpiry({ expires }: Release, nowMs: number): string {
  const seconds = ((parseTimestamp(expires) ?? 0) - nowMs) / 1000;
  return seconds > 0 ? `in ${formatDuration(seconds)}` : `expired ${formatDuration(-seconds)} ago`;
}
