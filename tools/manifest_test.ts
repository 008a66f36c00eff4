import assert from "node:assert/strict";
import { islandNames, manifestText } from "./manifest.ts";

Deno.test("routes/manifest.gen.ts is what deno task gen writes", async () => {
  assert.equal(
    await Deno.readTextFile(new URL("../routes/manifest.gen.ts", import.meta.url)),
    await manifestText(),
    "run: deno task gen",
  );
});

Deno.test("manifestText() takes pages from every folder, islands from the top one, and no tests", async () => {
  const root = await Deno.makeTempDir({ prefix: "nix-ota-manifest-" });
  for (const folder of ["routes/devices", "islands/parts"]) await Deno.mkdir(`${root}/${folder}`, { recursive: true });
  const files = [
    "routes/index.tsx",
    "routes/index_test.tsx",
    "routes/devices/[id].tsx",
    "islands/One.tsx",
    "islands/parts/Two.tsx",
  ];
  for (const file of files) await Deno.writeTextFile(`${root}/${file}`, "");
  const url = new URL(`file://${root}/`);
  const text = await manifestText(url);
  assert.deepEqual([...text.matchAll(/from "(\.[^"]+)"/g)].map(([, path]) => path), [
    "./devices/[id].tsx",
    "./index.tsx",
    "../islands/One.tsx",
  ]);
  assert.deepEqual(await islandNames(url), ["One"]);
  await Deno.remove(root, { recursive: true });
});
