/** Rules that every file of the tree keeps. */
import assert from "node:assert/strict";

const ROOT = new URL("../../", import.meta.url);
const LINES_MAX = 500;

async function trackedFiles(): Promise<string[]> {
  const walk = async (folder: string): Promise<string[]> => {
    const found: string[] = [];
    for await (const entry of Deno.readDir(new URL(folder || "./", ROOT))) {
      if ([".git", "dist", ".cache", "node_modules"].includes(entry.name)) continue;
      const path = `${folder}${entry.name}`;
      if (entry.isDirectory) found.push(...await walk(`${path}/`));
      else if (entry.isFile) found.push(path);
    }
    return found;
  };
  return (await walk("")).sort();
}

Deno.test("no source file is longer than 500 lines", async () => {
  const long: string[] = [];
  for (const path of await trackedFiles()) {
    if (!/\.(?:tsx?|css|nix)$/.test(path)) continue;
    const lines = (await Deno.readTextFile(new URL(path, ROOT))).split("\n").length;
    if (lines > LINES_MAX) long.push(`${path}: ${lines}`);
  }
  assert.deepEqual(long, []);
});

Deno.test("no file names a package registry, a mirror or another place that only one network reaches", async () => {
  // Assembled from parts, or this file would name them itself.
  const hosts = [["registry", "npmjs", "org"], ["registry", "yarnpkg", "com"], ["deb", "debian", "org"], ["jsr", "io"]]
    .map((parts) => parts.join("."));
  const wrong: string[] = [];
  for (const path of await trackedFiles()) {
    if (/\.(?:png|woff2|gz|zst)$/.test(path)) continue;
    const text = await Deno.readTextFile(new URL(path, ROOT));
    for (const host of hosts) if (text.includes(host)) wrong.push(`${path}: ${host}`);
  }
  assert.deepEqual(wrong, []);
});

Deno.test("every docs link to a file of the tree leads somewhere", async () => {
  const files = new Set(await trackedFiles());
  const broken: string[] = [];
  for (const path of files) {
    if (!path.endsWith(".md")) continue;
    const text = await Deno.readTextFile(new URL(path, ROOT));
    for (const [, target = ""] of text.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      const url = new URL(target, new URL(path, ROOT));
      const local = url.pathname.slice(ROOT.pathname.length);
      const found = files.has(local) || [...files].some((file) => file.startsWith(`${local.replace(/\/$/, "")}/`));
      if (!found) broken.push(`${path}: ${target}`);
    }
  }
  assert.deepEqual(broken, []);
});

Deno.test("every file that the documentation names in code style exists", async () => {
  const files = new Set(await trackedFiles());
  const missing: string[] = [];
  for (const path of files) {
    if (!path.endsWith(".md") || path === "CHANGELOG.md") continue;
    const text = await Deno.readTextFile(new URL(path, ROOT));
    for (const [, named = ""] of text.matchAll(/`([a-z_]+\/[A-Za-z_/.-]+\.(?:tsx?|sh|nix|md))`/g)) {
      const beside = new URL(named, new URL(path, ROOT)).pathname.slice(ROOT.pathname.length);
      if (!files.has(named) && !files.has(beside)) missing.push(`${path}: ${named}`);
    }
  }
  assert.deepEqual(missing, []);
});
