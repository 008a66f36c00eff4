/**
 * The dashboard's browser side: one script for each island with their shared code in chunks, the style sheet with its
 * font, and the icon; every name carries a hash of the content.
 * @module
 */
import type { AssetManifest } from "@/server/web/mod.ts";
import * as esbuild from "esbuild";

/** What was made. */
export interface Bundle {
  /** Content by file name. */
  readonly files: ReadonlyMap<string, Uint8Array<ArrayBuffer>>;
  readonly manifest: Omit<AssetManifest, "encodings">;
  /** The folders of the npm packages that are part of it, as `file:` paths. */
  readonly packages: readonly string[];
}

/** How to make it. */
export interface BundleOptions {
  readonly islands: readonly string[];
  /** Readable, with source maps. */
  readonly dev: boolean;
}

const ROOT = new URL("../", import.meta.url).pathname;
/** Browsers from early 2024 on: the first with `light-dark()` in all three engines. */
const TARGETS = ["chrome123", "firefox120", "safari17.5"];

/**
 * Bundles with esbuild.
 * @throws {Error} Where a source is wrong; warnings count, for a dropped `@import` is only one.
 */
export async function bundle({ islands, dev }: BundleOptions): Promise<Bundle> {
  try {
    const result = await esbuild.build({
      absWorkingDir: ROOT,
      entryPoints: [
        ...islands.map((name) => ({ in: `island:${name}`, out: name })),
        { in: "./static/app.css", out: "app" },
        { in: "./static/icon.svg", out: "icon" },
      ],
      plugins: [islandEntries, denoImports],
      bundle: true,
      splitting: true,
      format: "esm",
      platform: "browser",
      target: TARGETS,
      jsx: "automatic",
      jsxImportSource: "preact",
      loader: { ".woff2": "file", ".svg": "copy" },
      outdir: "/out",
      entryNames: "[name]-[hash]",
      chunkNames: "chunk-[hash]",
      assetNames: "[name]-[hash]",
      legalComments: "none", // tools/build.ts writes the licences into a file of their own.
      minify: !dev,
      sourcemap: dev ? "inline" : false,
      write: false,
      metafile: true,
      logLevel: "silent",
    });
    const [warning] = await esbuild.formatMessages(result.warnings, { kind: "warning" });
    if (warning !== undefined) throw new Error(`Cannot bundle the dashboard: ${warning}`);
    return collect(result);
  } finally {
    await esbuild.stop();
  }
}

/** `island:NAME` is the script that brings one island to life. */
const islandEntries: esbuild.Plugin = {
  name: "island entries",
  setup(build) {
    build.onResolve(
      { filter: /^island:/ },
      ({ path }) => ({ path: path.slice("island:".length), namespace: "island" }),
    );
    build.onLoad({ filter: /.*/, namespace: "island" }, ({ path }) => ({
      contents: `import { boot } from "./islands/lib/boot.ts";
        import Island from "./islands/${path}.tsx";
        boot(${JSON.stringify(path)}, Island);`,
      loader: "ts",
      resolveDir: ROOT,
    }));
  },
};

/** Bare names lead where deno.json says. What common/ exports has no side effects, so unused parts are left out. */
const denoImports: esbuild.Plugin = {
  name: "deno imports",
  setup(build) {
    build.onResolve({ filter: /^[^./]/ }, ({ path, kind }) => {
      if (kind === "entry-point") return undefined;
      const url = import.meta.resolve(path);
      if (!url.startsWith("file:")) return { errors: [{ text: `"${path}" leads to ${url}, not to a file` }] };
      return { path: decodeURIComponent(new URL(url).pathname), sideEffects: !path.startsWith("@nix-ota/") };
    });
    build.onResolve(
      { filter: /^\.\// },
      ({ path, importer, resolveDir }) =>
        importer.startsWith(`${ROOT}common/`)
          ? { path: decodeURIComponent(new URL(path, `file://${resolveDir}/`).pathname), sideEffects: false }
          : undefined,
    );
  },
};

type Result = esbuild.BuildResult<{ write: false; metafile: true }>;

function collect({ outputFiles, metafile }: Result): Bundle {
  const outputs = Object.entries(metafile.outputs).map(([path, output]) => ({ ...output, file: lastOf(path) }));
  const named = outputs.filter(({ file }) => !file.startsWith("chunk-"));
  const scripts = named.filter(({ file }) => file.endsWith(".js"));
  return {
    files: new Map(outputFiles.map(({ path, contents }) => [lastOf(path), new Uint8Array(contents)])),
    manifest: {
      files: Object.fromEntries(named.map(({ file }) => [withoutHash(file), file])),
      chunks: Object.fromEntries(
        scripts.map((
          { file, imports },
        ) => [withoutHash(file).replace(/\.js$/, ""), imports.map(({ path }) => lastOf(path))]),
      ),
    },
    packages: packagesOf(Object.keys(metafile.inputs)),
  };
}

/** The package folders among input paths: in Deno's cache each is `<registry>/<name>/<version>`. */
function packagesOf(inputs: readonly string[]): readonly string[] {
  const folders = inputs.map((path) => /^(.*\/npm\/[^/]+\/(?:@[^/]+\/)?[^/]+\/[^/]+)\//.exec(path)?.[1]);
  return [...new Set(folders.filter((folder) => folder !== undefined))].sort();
}

/** `app-1A2B3C4D.css` is `app.css`. */
function withoutHash(file: string): string {
  return file.replace(/-[A-Z0-9]{8}(?=\.\w+$)/, "");
}

function lastOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
