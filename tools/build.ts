/**
 * Builds the dashboard's browser side into dist/: `deno task build`. Everything is compressed here, once and as hard as
 * it goes, and never while serving.
 * @module
 */
import { type Asset, type Assets, type Encoding, ENCODING_SUFFIX, ENCODINGS } from "@/server/web/assets.ts";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { bundle } from "./bundle.ts";
import { islandNames } from "./manifest.ts";
import { say } from "./say.ts";

const DIST = new URL("../dist/", import.meta.url);
/** Smaller files gain less than a header costs. */
const COMPRESS_MIN_BYTES = 512;

/** The assets as `deno task build` makes them, and the folders of the packages that went into them. */
export async function buildAssets(): Promise<{ assets: Assets; packages: readonly string[] }> {
  const { files, manifest, packages } = await bundle({ islands: await islandNames(), dev: false });
  const built = [...files].map(([name, plain]) => [name, compress(name, plain)] as const);
  const encodings = Object.fromEntries(
    built.map(([name, asset]) => [name, ENCODINGS.filter((encoding) => asset.encoded[encoding])]),
  );
  return { assets: { manifest: { ...manifest, encodings }, files: new Map(built) }, packages };
}

function compress(name: string, plain: Uint8Array<ArrayBuffer>): Asset {
  if (!/\.(?:js|css|svg)$/.test(name) || plain.length < COMPRESS_MIN_BYTES) return { plain, encoded: {} };
  const params = { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY };
  const br = new Uint8Array(brotliCompressSync(plain, { params }));
  return { plain, encoded: { br, gzip: new Uint8Array(gzipSync(plain, { level: 9 })) } };
}

/** Every package's licence, for what browsers are sent holds parts of them. */
async function licences(packages: readonly string[]): Promise<string> {
  const texts = await Promise.all(packages.map(async (folder) => {
    const { name, version } = JSON.parse(await Deno.readTextFile(`${folder}/package.json`));
    return `${name} ${version}\n\n${(await Deno.readTextFile(`${folder}/LICENSE`)).trim()}\n`;
  }));
  return texts.join(`\n${"-".repeat(80)}\n\n`);
}

/** Removes the assets of earlier builds; what else is in dist/, such as executables, stays. */
async function removeAssets(): Promise<void> {
  try {
    await Deno.remove(new URL("assets/", DIST), { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

async function writeAsset(name: string, { plain, encoded }: Asset): Promise<void> {
  await Deno.writeFile(new URL(`assets/${name}`, DIST), plain);
  const forms = Object.entries(encoded) as [Encoding, Uint8Array][]; // `compress` made no others.
  for (const [encoding, bytes] of forms) {
    await Deno.writeFile(new URL(`assets/${name}${ENCODING_SUFFIX[encoding]}`, DIST), bytes);
  }
  const sizes = forms.map(([encoding, bytes]) => `  ${encoding} ${bytes.length}`).join("");
  say(`${name.padEnd(40)} ${String(plain.length).padStart(7)} bytes${sizes}`);
}

async function main(): Promise<void> {
  const { assets, packages } = await buildAssets();
  await removeAssets();
  await Deno.mkdir(new URL("assets/", DIST), { recursive: true });
  for (const [name, asset] of assets.files) await writeAsset(name, asset);
  await Deno.writeTextFile(new URL("manifest.json", DIST), JSON.stringify(assets.manifest, null, 2));
  await Deno.writeTextFile(new URL("LICENSES.txt", DIST), await licences(packages));
}

if (import.meta.main) await main();
