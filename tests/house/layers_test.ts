/** Who may import whom (docs/architecture.md): read from the sources themselves. */
import assert from "node:assert/strict";

const ROOT = new URL("../../", import.meta.url);

/** What production files of a room may import besides their own room. `npm` stands for any package from npm. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  common: [],
  agent: ["@nix-ota/common"],
  publisher: ["@nix-ota/common", "npm", "node"],
  server: ["@nix-ota/common", "npm", "node"],
  islands: ["@nix-ota/common", "npm"],
  routes: ["@nix-ota/common", "npm", "islands", "server"],
};

async function* sourcesOf(folder: URL): AsyncGenerator<URL> {
  for await (const entry of Deno.readDir(folder)) {
    const url = new URL(entry.name + (entry.isDirectory ? "/" : ""), folder);
    if (entry.isDirectory) yield* sourcesOf(url);
    else if (/\.tsx?$/.test(entry.name)) yield url;
  }
}

const IMPORT_PATTERN =
  /(?:^|[\s;])(?:import|export)\s[^;"'`]*?from\s+["']([^"']+)["']|import\s*\(?\s*["']([^"']+)["']/g;

function importsOf(text: string): string[] {
  return [...text.matchAll(IMPORT_PATTERN)].map(([, from, bare]) => from ?? bare ?? "");
}

/** The room that an import leads to: a folder of ours, `@nix-ota/…`, `node` or `npm`. */
function roomOf(specifier: string, file: URL): string {
  if (specifier.startsWith("node:")) return "node";
  if (specifier.startsWith("@nix-ota/")) return specifier;
  if (specifier.startsWith("@/")) return specifier.split("/")[1] ?? "";
  if (!specifier.startsWith(".")) return "npm";
  const path = new URL(specifier, file).pathname.slice(ROOT.pathname.length);
  return path.includes("/") ? path.split("/")[0] ?? "" : ".";
}

function isTestFile(url: URL): boolean {
  return /(?:_test|_fake|\.gen)\.tsx?$|\/(?:testing|fixtures)\//.test(url.pathname);
}

for (const [room, allowed] of Object.entries(ALLOWED)) {
  Deno.test(`${room}/ imports only ${[...allowed, "itself"].join(", ")}`, async () => {
    const wrong: string[] = [];
    let files = 0;
    for await (const file of sourcesOf(new URL(`${room}/`, ROOT))) {
      if (isTestFile(file)) continue;
      files += 1;
      for (const specifier of importsOf(await Deno.readTextFile(file))) {
        const target = roomOf(specifier, file);
        if (target !== room && !allowed.includes(target)) wrong.push(`${file.pathname}: ${specifier}`);
      }
    }
    assert.ok(files > 0, `${room}/ has no sources: the test looks in the wrong place`);
    assert.deepEqual(wrong, []);
  });
}

/** What common/ may not touch: it decides on values and does no input or output. */
const IMPURE =
  /\bDeno\.|\bfetch\(|\bDate\.now\(|new Date\(\)|\bMath\.random\(|\bperformance\.|\bsetTimeout\(|\bconsole\./;

Deno.test("common/ does no input or output and reads no clock", async () => {
  const wrong: string[] = [];
  for await (const file of sourcesOf(new URL("common/", ROOT))) {
    if (isTestFile(file)) continue;
    const code = (await Deno.readTextFile(file)).replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, "");
    if (IMPURE.test(code)) wrong.push(`${file.pathname}: ${IMPURE.exec(code)?.[0]}`);
  }
  assert.deepEqual(wrong, []);
});

Deno.test("the whole module graph of agent/ and common/ reaches no npm package and no node module", async (t) => {
  for (const entry of ["agent/main.ts", "common/mod.ts"]) {
    await t.step(entry, async () => {
      const { stdout, success } = await new Deno.Command(Deno.execPath(), {
        args: ["info", "--json", new URL(entry, ROOT).pathname],
        env: { NO_COLOR: "1" },
      }).output();
      assert.ok(success);
      const { modules } = JSON.parse(new TextDecoder().decode(stdout)) as { modules: { specifier: string }[] };
      const ours = modules.map((module) => module.specifier);
      assert.ok(ours.length > 1 || entry === "common/mod.ts");
      assert.deepEqual(ours.filter((specifier) => !specifier.startsWith("file://")), []);
    });
  }
});

Deno.test("only main.ts joins the server and the pages", async () => {
  const wrong: string[] = [];
  for await (const file of sourcesOf(new URL("server/", ROOT))) {
    if (isTestFile(file)) continue;
    for (const specifier of importsOf(await Deno.readTextFile(file))) {
      if (["routes", "islands"].includes(roomOf(specifier, file))) wrong.push(`${file.pathname}: ${specifier}`);
    }
  }
  assert.deepEqual(wrong, []);
});

Deno.test("importsOf() and roomOf() see every way to import", () => {
  const text = [
    'import a from "hono";',
    'import type { B } from "../agent/x.ts";',
    'export * from "./y.ts";',
    'import "node:fs";',
    'const z = await import("@nix-ota/common");',
    "import {\n  c,\n} from '@/routes/index.tsx';",
  ].join("\n");
  const file = new URL("server/a.ts", ROOT);
  assert.deepEqual(importsOf(text).map((one) => roomOf(one, file)), [
    "npm",
    "agent",
    "server",
    "node",
    "@nix-ota/common",
    "routes",
  ]);
});
