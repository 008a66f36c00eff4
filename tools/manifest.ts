/**
 * The manifest of the dashboard: static imports of every file in routes/ and every island, so that the server needs no
 * folder at run time and a compiled program holds them all.
 * @module
 */

const ROOT = new URL("../", import.meta.url);
/** Where the manifest is kept: beside the routes, where only main.ts, development and tests import it. */
const MANIFEST = new URL("routes/manifest.gen.ts", ROOT);

/** A page or an island is any component file but a test. */
const COMPONENT = /^(?!.*_test\.tsx$).+\.tsx$/;

/** The component files of a folder by path without extension, sorted; folders inside only where `deep`. */
export async function componentsIn(folder: URL, { deep }: { deep: boolean }): Promise<readonly string[]> {
  const found: string[] = [];
  for await (const entry of Deno.readDir(folder)) {
    if (entry.isFile && COMPONENT.test(entry.name)) found.push(entry.name.slice(0, -".tsx".length));
    if (entry.isDirectory && deep) {
      const inside = await componentsIn(new URL(`${entry.name}/`, folder), { deep });
      found.push(...inside.map((name) => `${entry.name}/${name}`));
    }
  }
  return found.sort();
}

/** The islands: the components directly in islands/; what is in folders there belongs to them. */
export function islandNames(root: URL = ROOT): Promise<readonly string[]> {
  return componentsIn(new URL("islands/", root), { deep: false });
}

/** The manifest's text. */
export async function manifestText(root: URL = ROOT): Promise<string> {
  const routes = await componentsIn(new URL("routes/", root), { deep: true });
  const islands = await islandNames(root);
  return [
    "// Made by `deno task gen` from the files in routes/ and islands/. Do not edit.",
    'import type { IslandModules, Routes } from "@/server/web/mod.ts";',
    ...routes.map((id, at) => `import * as route${at} from "./${id}.tsx";`),
    ...islands.map((name, at) => `import * as island${at} from "../islands/${name}.tsx";`),
    "",
    "/** The files of routes/ by path without extension. */",
    "export const routes: Routes = {",
    ...routes.map((id, at) => `  ${JSON.stringify(id)}: route${at},`),
    "};",
    "",
    "/** The islands by name. */",
    "export const islands: IslandModules = {",
    ...islands.map((name, at) => `  ${JSON.stringify(name)}: island${at},`),
    "};",
    "",
  ].join("\n");
}

/** Writes the manifest where it changed; an untouched file does not restart development. */
export async function writeManifest(): Promise<void> {
  const text = await manifestText();
  if (text !== await readIfThere(MANIFEST)) await Deno.writeTextFile(MANIFEST, text);
}

async function readIfThere(file: URL): Promise<string> {
  try {
    return await Deno.readTextFile(file);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}
