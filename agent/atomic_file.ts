/**
 * Files that are either the old or the new content, whatever is cut off when.
 * @module
 */
import type { Bytes } from "@nix-ota/common";
import type { Files } from "./system.ts";

/** The directory of a path. */
export function directoryOf(path: string): string {
  return path.slice(0, Math.max(1, path.lastIndexOf("/")));
}

/**
 * Replaces a file: writes a temporary one, makes it durable, renames it over the old one and makes the name durable.
 * When it returns, the new content survives a power cut.
 *
 * @param keep Where the old content is kept, or null where it is not.
 */
export async function writeDurably(
  files: Files,
  { path, content, mode, keep = null }: { path: string; content: Bytes; mode: number; keep?: string | null },
): Promise<void> {
  const temporary = `${path}.new`;
  await files.write(temporary, content, mode);
  await files.sync(temporary);
  if (keep !== null && await files.stat(path) !== null) await files.rename(path, keep);
  await files.rename(temporary, path);
  await files.sync(directoryOf(path));
}

/**
 * Makes a directory and those above it; durable when it returns. The name is synced even where it is there already, for
 * an earlier life may have been cut off between making and syncing it.
 */
export async function makeDirectoryDurably(files: Files, path: string, mode: number): Promise<void> {
  const parent = directoryOf(path);
  if (await files.stat(parent) === null) await makeDirectoryDurably(files, parent, 0o755);
  await files.makeDirectory(path, mode);
  await files.sync(parent);
}

/** Points a link elsewhere, atomically; the name is made durable. */
export async function linkDurably(files: Files, { target, path }: { target: string; path: string }): Promise<void> {
  if (await files.readLink(path) === target) return;
  const temporary = `${path}.new`;
  await files.remove(temporary);
  await files.symlink(target, temporary);
  await files.rename(temporary, path);
  await files.sync(directoryOf(path));
}
