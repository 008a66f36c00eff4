/** What a power cut leaves of files that were written and never synced. */

/**
 * Cuts every regular file in `path` to 0 bytes; names, modes and times stay.
 *
 * That is what ext4 and XFS leave of new files whose data was still in memory while the journal had their names: Nix'
 * database says the path is valid, and its files are empty.
 *
 * @throws {Deno.errors.NotFound} If there is no such path.
 */
export async function truncateFiles(path: string): Promise<void> {
  const info = await Deno.lstat(path);
  if (info.isSymlink) return;
  if (info.isDirectory) {
    for await (const { name } of Deno.readDir(path)) await truncateFiles(`${path}/${name}`);
    return;
  }
  const mode = (info.mode ?? 0o444) & 0o7777;
  await Deno.chmod(path, mode | 0o200); // Store files are read-only for whoever is not root.
  await Deno.truncate(path, 0);
  await Deno.chmod(path, mode);
  await Deno.utime(path, info.atime ?? 0, info.mtime ?? 0);
}
