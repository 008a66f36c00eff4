import assert from "node:assert/strict";
import { accepts, assetPath, type Assets, readAssets, serveAsset } from "./assets.ts";

const bytes = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text);

const ASSETS: Assets = {
  manifest: { files: { "app.css": "app-1.css", "font.woff2": "font-1.woff2" }, chunks: {}, encodings: {} },
  files: new Map([
    ["app-1.css", { plain: bytes("plain"), encoded: { br: bytes("br"), gzip: bytes("gz") } }],
    ["font-1.woff2", { plain: bytes("font"), encoded: {} }],
  ]),
};

function ask(path: string, encoding?: string): Response | null {
  return serveAsset(
    ASSETS,
    new Request(`http://x${path}`, encoding ? { headers: { "accept-encoding": encoding } } : {}),
  );
}

Deno.test("serveAsset() answers in the best encoding that the browser takes", async (t) => {
  const cases: [header: string | undefined, body: string, encoding: string | null][] = [
    ["gzip, deflate, br, zstd", "br", "br"],
    ["gzip", "gz", "gzip"],
    ["br;q=0, gzip", "gz", "gzip"],
    ["deflate", "plain", null],
    [undefined, "plain", null],
  ];
  for (const [header, body, encoding] of cases) {
    await t.step(header ?? "no header", async () => {
      const response = ask("/assets/app-1.css", header);
      assert.equal(response?.headers.get("content-encoding"), encoding);
      assert.equal(response?.headers.get("content-length"), String(body.length));
      assert.equal(await response?.text(), body);
    });
  }
});

Deno.test("serveAsset() lets caches keep an asset for ever, keyed by encoding", () => {
  const headers = ask("/assets/app-1.css", "br")?.headers;
  assert.equal(headers?.get("cache-control"), "public, max-age=31536000, immutable");
  assert.equal(headers?.get("vary"), "accept-encoding");
  assert.equal(headers?.get("content-type"), "text/css; charset=utf-8");
  assert.equal(headers?.get("x-content-type-options"), "nosniff");
  assert.equal(ask("/assets/font-1.woff2", "br")?.headers.get("content-type"), "font/woff2");
});

Deno.test("serveAsset() knows only what was built", () => {
  for (const path of ["/assets/", "/assets/app.css", "/assets/../manifest.json", "/assets/%2e%2e/manifest.json"]) {
    assert.equal(ask(path), null, path);
  }
});

Deno.test("accepts() reads the header as RFC 9110 says", () => {
  assert.equal(accepts("br", "br"), true);
  assert.equal(accepts(" GZIP ; q=0.5", "gzip"), true);
  assert.equal(accepts("gzip;q=0.000", "gzip"), false);
  assert.equal(accepts("x-gzip", "gzip"), false);
  assert.equal(accepts("", "br"), false);
});

Deno.test("assetPath() and readAssets() say how to make what is missing", () => {
  assert.equal(assetPath(ASSETS, "app.css"), "/assets/app-1.css");
  assert.throws(() => assetPath(ASSETS, "Gone.js"), /Cannot find the asset "Gone.js".*deno task build/);
  assert.throws(() => readAssets(new URL("file:///nowhere/dist/")), /in "\/nowhere\/dist\/" \(run: deno task build\)/);
});
