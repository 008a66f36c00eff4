/**
 * Builds the dashboard's browser side into dist/: `deno task build`. Everything is compressed here, once and as hard as
 * it goes, and never while serving.
 * @module
 */
import { type Encoding, ENCODING_SUFFIX } from "@/server/web/assets.ts";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { bundle } from "./bundle.ts";
import { islandNames } from "./manifest.ts";
import { say } from "./say.ts";

const DIST = new URL("../dist/", import.meta.url);
/** Smaller files gain less than a header costs. */
const COMPRESS_MIN_BYTES = 512;

type Content = Uint8Array<ArrayBuffer>;

function encodedForms(name: string, content: Content): readonly [Encoding, Uint8Array][] {
  if (!/\.(?:js|css|svg)$/.test(name) || content.length < COMPRESS_MIN_BYTES) return [];
  const quality = { params: { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY } };
  return [["br", brotliCompressSync(content, quality)], ["gzip", gzipSync(content, { level: 9 })]];
}

/** Every package's licence, for what the browser is sent holds parts of them. */
async function licences(packages: readonly string[]): Promise<string> {
  const texts = await Promise.all(packages.map(async (folder) => {
    const { name, version } = JSON.parse(await Deno.readTextFile(`${folder}/package.json`));
    return `${name} ${version}\n\n${(await Deno.readTextFile(`${folder}/LICENSE`)).trim()}\n`;
  }));
  return texts.join(`\n${"-".repeat(80)}\n\n`);
}

async function build(): Promise<void> {
  const { files, manifest, packages } = await bundle({ islands: await islandNames(), dev: false });
  await Deno.remove(DIST, { recursive: true }).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
  await Deno.mkdir(new URL("assets/", DIST), { recursive: true });
  const encodings: Record<string, Encoding[]> = {};
  for (const [name, content] of files) {
    const forms = encodedForms(name, content);
    encodings[name] = forms.map(([encoding]) => encoding);
    await Deno.writeFile(new URL(`assets/${name}`, DIST), content);
    for (const [encoding, bytes] of forms) {
      await Deno.writeFile(new URL(`assets/${name}${ENCODING_SUFFIX[encoding]}`, DIST), bytes);
    }
    const sizes = forms.map(([encoding, bytes]) => `${encoding} ${bytes.length}`).join("  ");
    say(`${name.padEnd(40)} ${String(content.length).padStart(7)} bytes  ${sizes}`);
  }
  await Deno.writeTextFile(new URL("manifest.json", DIST), JSON.stringify({ ...manifest, encodings }, null, 2));
  await Deno.writeTextFile(new URL("LICENSES.txt", DIST), await licences(packages));
}

if (import.meta.main) await build();
