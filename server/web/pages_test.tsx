/** The real pages through the real walls, over a pretended fleet. */
import assert from "node:assert/strict";
import { islands, routes } from "@/routes/manifest.gen.ts";
import { Hono } from "hono";
import { brotliDecompressSync, gunzipSync } from "node:zlib";
import type { App } from "../deps.ts";
import type { Assets } from "./assets.ts";
import { type DashboardDeps, mountDashboard } from "./mod.ts";
import { fakeDevice, idleState } from "./testing/fake_device.ts";
import { busyFleet, FakeFleet, fakeRelease } from "./testing/fake_fleet.ts";

const NOW_MS = 1_763_800_000_000;

const ASSETS: Assets = {
  manifest: {
    files: {
      "app.css": "app-1.css",
      "icon.svg": "icon-1.svg",
      "inter.woff2": "inter-1.woff2",
      "FleetLive.js": "FleetLive-1.js",
      "Other.js": "Other-1.js",
    },
    chunks: { FleetLive: ["chunk-1.js"], Other: ["chunk-2.js"] },
    encodings: {},
  },
  files: new Map(),
};

function dashboard(reader: FakeFleet, changes: Partial<DashboardDeps> = {}): App {
  const app: App = new Hono();
  mountDashboard(app, { reader, assets: ASSETS, routes, islands, ...changes });
  return app;
}

async function show(reader: FakeFleet, path = "/"): Promise<string> {
  const response = await dashboard(reader).request(path, { headers: { accept: "text/html" } });
  return await response.text();
}

/** The text that a reader without scripts sees. */
function textOf(html: string): string {
  const entities: Record<string, string> = { "&lt;": "<", "&gt;": ">", "&quot;": '"', "&amp;": "&" };
  return html.replace(/<script[\s\S]*?<\/script>/g, "").replace(/<span class="flag">([^<]*)<\/span>/g, "$1").replace(
    /<[^>]+>/g,
    "\n",
  ).replace(
    /&(?:lt|gt|quot|amp);/g,
    (entity) => entities[entity] ?? entity,
  );
}

Deno.test("the overview reads without scripts: channels, counts, devices, results and releases are in the HTML", async () => {
  const text = textOf(await show(busyFleet(() => NOW_MS)));
  for (
    const part of [
      "Fleet overview",
      "As of 08:26:40 UTC",
      "release 42",
      "Fixes the clock that went back an hour",
      "kiosk-001",
      "Up to date",
      "Downloading",
      "The release has no target for this system and variant",
      "What happened last",
    ]
  ) assert.ok(text.includes(part), part);
});

Deno.test("the overview names exactly the scripts of its islands and their chunks", async () => {
  const html = await show(busyFleet(() => NOW_MS));
  const scripts = [...html.matchAll(/<script[^>]*src="([^"]+)"/g)].map(([, src]) => src);
  assert.deepEqual(scripts, ["/assets/FleetLive-1.js"]);
  assert.match(html, /<link rel="modulepreload" href="\/assets\/chunk-1\.js"/);
  assert.equal(html.includes("chunk-2"), false);
  assert.match(
    html,
    /<link rel="preload" as="font" type="font\/woff2" crossorigin="anonymous" href="\/assets\/inter-1\.woff2"/,
  );
});

Deno.test("every page has no inline script, style or handler, and the policy that forbids them", async (t) => {
  const app = dashboard(busyFleet(() => NOW_MS));
  for (
    const path of ["/", "/?standing=failed", "/devices/kiosk-001", "/devices/kiosk-015", "/nothing", "/?standing=x"]
  ) {
    await t.step(path, async () => {
      const response = await app.request(path, { headers: { accept: "text/html" } });
      const html = await response.text();
      assert.match(response.headers.get("content-security-policy") ?? "", /^default-src 'none'; script-src 'self'/);
      assert.equal(response.headers.get("cache-control"), "no-store");
      assert.match(html, /^<!doctype html><html lang="en">/);
      assert.doesNotMatch(html, /<style|\sstyle=|\son[a-z]+=|javascript:/i);
      assert.doesNotMatch(html, /<script(?![^>]*(?:src=|type="application\/json"))/);
      assert.doesNotMatch(html, /(?:src|href)="(?:https?:)?\/\//);
    });
  }
});

Deno.test("a pending device shows its fingerprint and the command that accepts it", async () => {
  const fleet = new FakeFleet({ now: () => NOW_MS });
  fleet.put(fakeDevice("new-1", { status: "pending", standing: "pending", seenMs: null, state: null }));
  const { fingerprint } = fleet.device("new-1") ?? assert.fail();
  const text = textOf(await show(fleet, "http://ota.example.org/"));
  const command =
    `nix-ota devices accept new-1 --fingerprint ${fingerprint} --server http://ota.example.org --token-file ./publish-token`;
  assert.ok(text.includes(command), text);
});

Deno.test("an empty server teaches the first steps with its own address", async () => {
  const empty = new FakeFleet({ now: () => NOW_MS });
  const first = textOf(await show(empty, "http://ota.example.org/"));
  assert.ok(first.includes("nix-ota keygen --out ./sign.key"));
  assert.ok(first.includes("nix-ota publish --server http://ota.example.org"));
  assert.ok(first.includes('"server": "http://ota.example.org"'));
  empty.publish(fakeRelease("edge", 1));
  const second = textOf(await show(empty));
  assert.ok(second.includes('"channel": "edge"'));
});

Deno.test("mountDashboard() shows the configured address instead of the one that was asked", async () => {
  const app = dashboard(new FakeFleet({ now: () => NOW_MS }), { origin: "https://ota.example.org" });
  const html = await (await app.request("http://10.0.0.1:8080/", { headers: { accept: "text/html" } })).text();
  assert.ok(html.includes("https://ota.example.org"));
  assert.equal(html.includes("10.0.0.1"), false);
});

Deno.test("the filter of the address chooses the devices", async () => {
  const fleet = new FakeFleet({ now: () => NOW_MS });
  fleet.put(fakeDevice("good-1", { standing: "current" }));
  fleet.put(fakeDevice("bad-1", { standing: "failed" }));
  fleet.put(fakeDevice("bad-2", { standing: "failed", channel: "beta" }));
  const listed = async (path: string): Promise<string[]> =>
    [...(await show(fleet, path)).matchAll(/<th role="rowheader"[^>]*><a href="\/devices\/([^"]+)"/g)].map((
      [, id = ""],
    ) => id);
  assert.deepEqual(await listed("/"), ["bad-1", "bad-2", "good-1"]);
  assert.deepEqual(await listed("/?standing=failed"), ["bad-1", "bad-2"]);
  assert.deepEqual(await listed("/?standing=failed&channel=beta"), ["bad-2"]);
  assert.deepEqual(await listed("/?after=bad-1"), ["bad-2", "good-1"]);
});

Deno.test("a wrong filter, an unknown device and an unknown page are answered with a page that says so", async (t) => {
  const cases: [path: string, status: number, words: RegExp][] = [
    ["/?standing=broken", 400, /standing must be one of current, waiting/],
    ["/?channel=%3Cb%3E", 400, /channel must be 1 to 63 characters/],
    ["/devices/nobody", 404, /There is no device &quot;nobody&quot;/],
    ["/devices/%3Cimg%20src%3Dx%3E", 404, /There is no device &quot;&lt;img src=x>&quot;/],
    ["/nothing/here", 404, /There is no page &quot;\/nothing\/here&quot;/],
  ];
  const app = dashboard(busyFleet(() => NOW_MS));
  for (const [path, status, words] of cases) {
    await t.step(path, async () => {
      const response = await app.request(path, { headers: { accept: "text/html" } });
      assert.equal(response.status, status);
      assert.match(await response.text(), words);
    });
  }
});

Deno.test("programs that ask for no page get the server's own answer", async () => {
  const app = dashboard(new FakeFleet({ now: () => NOW_MS }));
  const response = await app.request("/nothing", { headers: { accept: "*/*" } });
  assert.equal(response.status, 404);
  assert.doesNotMatch(await response.text(), /<html/);
});

Deno.test("a page that fails shows nothing of the error and tells the server", async () => {
  const fleet = new FakeFleet({ now: () => NOW_MS });
  fleet.fleet = () => {
    throw new Error("secret detail");
  };
  const faults: unknown[] = [];
  const app = dashboard(fleet, { onFault: (error, path) => faults.push(`${path}: ${error}`) });
  const response = await app.request("/", { headers: { accept: "text/html" } });
  assert.equal(response.status, 500);
  assert.equal((await response.text()).includes("secret"), false);
  assert.deepEqual(faults, ["/: Error: secret detail"]);
});

Deno.test("access() stands before every page", async () => {
  const access = () => Promise.resolve(new Response(null, { status: 303, headers: { location: "/sign-in" } }));
  const app = dashboard(busyFleet(() => NOW_MS), { access });
  for (const path of ["/", "/devices/kiosk-001", "/nothing"]) {
    assert.equal((await app.request(path, { headers: { accept: "text/html" } })).status, 303, path);
  }
});

Deno.test("pages answer HEAD without a body and refuse other methods", async () => {
  const app = dashboard(busyFleet(() => NOW_MS));
  const head = await app.request("/", { method: "HEAD" });
  assert.equal(head.status, 200);
  assert.equal(await head.text(), "");
  const refused = await app.request("/", { method: "DELETE" });
  assert.equal(refused.status, 405);
  assert.equal(refused.headers.get("allow"), "GET, HEAD");
});

Deno.test("text from devices is shown as text, on one line, without marks that turn it round", async () => {
  const fleet = new FakeFleet({ now: () => NOW_MS });
  const hostile = "<img src=x onerror=alert(1)>\u202egnp.exe\u0007";
  fleet.put(fakeDevice("evil", {
    hostname: hostile,
    standing: "failed",
    state: {
      ...idleState(NOW_MS),
      result: "rolled_back",
      reason: "health_failed:<script>alert(1)</script>",
      detail: hostile,
    },
  }));
  fleet.put(
    fakeDevice("evil-2", { hostname: hostile, status: "pending", standing: "pending", seenMs: null, state: null }),
  );
  const html = (await show(fleet)).replace(/<script type="application\/json"[\s\S]*?<\/script>/, "");
  for (const trick of ["<img", "<script>", "\u202e", "\u0007"]) assert.equal(html.includes(trick), false, trick);
  assert.match(html, /&lt;img src=x onerror=alert\(1\)>gnp\.exe/);
});

Deno.test("pages are compressed for browsers that take it", async () => {
  const app = dashboard(busyFleet(() => NOW_MS));
  const ask = async (encoding: string): Promise<[string | null, Uint8Array]> => {
    const response = await app.request("/", { headers: { "accept-encoding": encoding } });
    assert.equal(response.headers.get("vary"), "accept-encoding");
    return [response.headers.get("content-encoding"), await response.bytes()];
  };
  const [none, plain] = await ask("identity");
  const [br, small] = await ask("gzip, br");
  const [gzip, other] = await ask("gzip");
  assert.deepEqual([none, br, gzip], [null, "br", "gzip"]);
  assert.deepEqual(new Uint8Array(brotliDecompressSync(small)), plain);
  assert.deepEqual(new Uint8Array(gunzipSync(other)), plain);
  assert.ok(small.length * 5 < plain.length, `${small.length} of ${plain.length} bytes`);
});
