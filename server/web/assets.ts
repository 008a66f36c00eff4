/**
 * Style sheet, scripts, font and icon, as `deno task build` leaves them in dist/: held in memory, each in the encodings
 * that were made at build time.
 * @module
 */
import { ASSET_HEADERS } from "./headers.ts";

/** Where assets live. */
export const ASSETS_PATH = "/assets/";

/** Encodings made at build time, best first. */
export const ENCODINGS = ["br", "gzip"] as const;
/** One of {@link ENCODINGS}. */
export type Encoding = typeof ENCODINGS[number];
/** What the file of an encoding ends in. */
export const ENCODING_SUFFIX: Readonly<Record<Encoding, string>> = { br: ".br", gzip: ".gz" };

/** `dist/manifest.json`. */
export interface AssetManifest {
  /** The file of each asset by the name that the sources give it: `app.css` is `app-1A2B3C4D.css`. */
  readonly files: Readonly<Record<string, string>>;
  /** The shared chunks that each island's script imports. */
  readonly chunks: Readonly<Record<string, readonly string[]>>;
  /** The encodings in which each file exists besides its plain form. */
  readonly encodings: Readonly<Record<string, readonly Encoding[]>>;
}

/** One file with its encoded forms. */
export interface Asset {
  readonly plain: Uint8Array<ArrayBuffer>;
  readonly encoded: Partial<Readonly<Record<Encoding, Uint8Array<ArrayBuffer>>>>;
}

/** All assets. */
export interface Assets {
  readonly manifest: AssetManifest;
  readonly files: ReadonlyMap<string, Asset>;
  /** Further scripts for every page, by path: development uses one to reload. */
  readonly scripts?: readonly string[];
}

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  css: "text/css; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  svg: "image/svg+xml",
  woff2: "font/woff2",
};

/**
 * Reads what was built.
 * @param dist The folder, such as `new URL("./dist/", import.meta.url)`.
 * @throws {Error} Where a file is missing; says how to make it.
 */
export function readAssets(dist: URL): Assets {
  try {
    // Written by tools/build.ts of the same version, as the type says.
    const manifest = JSON.parse(Deno.readTextFileSync(new URL("manifest.json", dist))) as AssetManifest;
    const names = new Set([...Object.values(manifest.files), ...Object.values(manifest.chunks).flat()]);
    return { manifest, files: new Map([...names].map((name) => [name, readAsset(name, { manifest, dist })])) };
  } catch (cause) {
    throw new Error(`Cannot read the dashboard's assets in "${dist.pathname}" (run: deno task build)`, { cause });
  }
}

function readAsset(name: string, { manifest, dist }: { manifest: AssetManifest; dist: URL }): Asset {
  const read = (suffix: string) => Deno.readFileSync(new URL(`assets/${name}${suffix}`, dist));
  const encodings = manifest.encodings[name] ?? [];
  return {
    plain: read(""),
    encoded: Object.fromEntries(encodings.map((encoding) => [encoding, read(ENCODING_SUFFIX[encoding])])),
  };
}

/**
 * The path of an asset by its source name, such as `app.css`.
 * @throws {Error} Where it was not built.
 */
export function assetPath(assets: Assets, name: string): string {
  const file = assets.manifest.files[name];
  if (file === undefined) {
    throw new Error(`Cannot find the asset "${name}" among those built (run: deno task build)`);
  }
  return `${ASSETS_PATH}${file}`;
}

/** Answers a request for an asset, or null where there is none of that name. */
export function serveAsset(assets: Assets, request: Request): Response | null {
  const name = new URL(request.url).pathname.slice(ASSETS_PATH.length);
  const asset = assets.files.get(name);
  if (!asset) return null;
  const accepted = request.headers.get("accept-encoding") ?? "";
  const encoding = ENCODINGS.find((one) => asset.encoded[one] && accepts(accepted, one));
  const body = (encoding && asset.encoded[encoding]) ?? asset.plain;
  const headers = new Headers(ASSET_HEADERS);
  headers.set("content-type", contentTypeOf(name));
  headers.set("content-length", String(body.length));
  if (encoding) headers.set("content-encoding", encoding);
  return new Response(body, { headers });
}

/** Whether an Accept-Encoding header lists a coding without refusing it by `q=0` (RFC 9110 section 12.5.3). */
export function accepts(header: string, coding: Encoding): boolean {
  return header.split(",").some((item) => {
    const [name, ...parameters] = item.split(";").map((part) => part.trim().toLowerCase());
    return name === coding && !parameters.some((parameter) => /^q=0(\.0{0,3})?$/.test(parameter));
  });
}

function contentTypeOf(name: string): string {
  return CONTENT_TYPES[name.slice(name.lastIndexOf(".") + 1)] ?? "application/octet-stream";
}
