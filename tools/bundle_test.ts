import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { bundle } from "./bundle.ts";
import { islandNames } from "./manifest.ts";

/** What the overview may cost in scripts, compressed with gzip. */
const SCRIPT_MAX_BYTES = 30 * 1024;

Deno.test("bundle() names every file by its content, keeps scripts small and leaves the server's half out", async () => {
  const islands = await islandNames();
  const { files, manifest, packages } = await bundle({ islands, dev: false });
  for (const name of ["app.css", "icon.svg", ...islands.map((island) => `${island}.js`)]) {
    assert.match(manifest.files[name] ?? "", /^[\w-]+-[A-Z0-9]{8}\.\w+$/, name);
  }
  for (const name of [...Object.values(manifest.files), ...Object.values(manifest.chunks).flat()]) {
    assert.ok(files.has(name), name);
  }
  const scripts = [...files].filter(([name]) => name.endsWith(".js"));
  const text = scripts.map(([, content]) => new TextDecoder().decode(content)).join("");
  assert.ok(gzipSync(text).length <= SCRIPT_MAX_BYTES, `${gzipSync(text).length} bytes`);
  for (const foreign of ["Deno.", "eval(", "renderToString", "crypto.subtle"]) {
    assert.equal(text.includes(foreign), false, foreign);
  }
  assert.ok(packages.some((folder) => /\/preact\//.test(folder)), packages.join());
});
