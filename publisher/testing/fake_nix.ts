/**
 * A `nix` for tests: a shell script that answers from files.
 * @module
 */
import type { LocalPath } from "../path_info.ts";
import { pathInfoJson } from "./closures.ts";

const SCRIPT = `#!/bin/sh
# The last argument is the store path, or a file in it.
for last; do :; done
rest=\${last#/nix/store/}
here="$(dirname "$0")/\${rest%%/*}"
case "$*" in
  *" path-info "*) file=path-info ;;
  *" store ls "*) file=ls ;;
  *" store cat "*) file=system ;;
  *) echo "error: unexpected $*" >&2; exit 1 ;;
esac
if [ -f "$here/$file" ]; then cat "$here/$file"; exit 0; fi
[ -f "$here/$file.error" ] && { cat "$here/$file.error" >&2; exit 1; }
echo "error: path '$last' is not valid" >&2
exit 1
`;

/** A folder to put on PATH. */
export interface FakeNix {
  readonly binDir: string;
  /** Makes the fake Nix know a system; what is null is not there. */
  add(
    paths: readonly LocalPath[],
    files?: { pathInfo?: string; ls?: string | null; system?: string | null },
  ): Promise<string>;
  /** Makes `nix path-info` of a store path fail with these words. */
  fail(storePath: string, stderr: string): Promise<void>;
}

/** Makes a fake Nix in a folder. */
export async function makeFakeNix(folder: string): Promise<FakeNix> {
  const binDir = `${folder}/fake-nix`;
  await Deno.mkdir(binDir);
  await Deno.writeTextFile(`${binDir}/nix`, SCRIPT, { mode: 0o755 });
  const folderOf = (storePath: string): string => `${binDir}/${storePath.slice("/nix/store/".length)}`;
  return {
    binDir,
    add: async (
      paths,
      { pathInfo, ls = '{"type":"regular","size":922,"executable":true}', system = "x86_64-linux" } = {},
    ) => {
      const storePath = paths[0]?.storePath ?? "";
      const at = folderOf(storePath);
      await Deno.mkdir(at, { recursive: true });
      await Deno.writeTextFile(`${at}/path-info`, pathInfo ?? pathInfoJson(paths));
      if (ls !== null) await Deno.writeTextFile(`${at}/ls`, ls);
      if (system !== null) await Deno.writeTextFile(`${at}/system`, system);
      return storePath;
    },
    fail: async (storePath, stderr) => {
      await Deno.mkdir(folderOf(storePath), { recursive: true });
      await Deno.writeTextFile(`${folderOf(storePath)}/path-info.error`, stderr);
    },
  };
}
