import assert from "node:assert/strict";
import { encodeUtf8, sha256 } from "@nix-ota/common";
import { makeClosure, makeSystem } from "../testing/closures.ts";
import { makeCacheSigner, narinfoText, startCache } from "../testing/fake_cache.ts";
import { checkRows, type Row } from "../testing/rows.ts";
import { makeWorld, type PublishWorld } from "../testing/world.ts";
import { formatNix32 } from "../nix32.ts";
import type { LocalPath } from "../path_info.ts";

/** The library in the middle of the closure: what the rows break. */
function library({ system }: PublishWorld): LocalPath {
  const found = system.find(({ storePath }) => storePath.endsWith("-glibc-2.40-66"));
  assert.ok(found);
  return found;
}

/** A row that changes the narinfo of one path. */
function narinfo(
  name: string,
  change: (text: string, world: PublishWorld) => Promise<string> | string,
  says: RegExp,
): Row {
  return {
    name,
    given: async (world) => {
      const path = library(world);
      const text = await narinfoText(path, [world.cacheSigner]);
      world.cache.setNarinfo(path.storePath, await change(text, world));
      return {};
    },
    code: 3,
    says,
  };
}

const line = (key: string, value: string) => (text: string): string =>
  text.replace(new RegExp(`^${key}: .*$`, "m"), `${key}: ${value}`);

Deno.test("publish refuses before signing when devices could not fetch the closure", (t) =>
  checkRows(t, [
    {
      name: "a path is missing",
      given: (world) => {
        world.cache.setNarinfo(library(world).storePath, null);
        return {};
      },
      code: 3,
      says:
        /could not fetch 1 of 5 paths .*nothing was signed or sent\)\n.*glibc-2\.40-66: it is not there \(404\)\n.*nix copy --to/,
    },
    {
      name: "a NAR is missing",
      given: async (world) => {
        await world.cache.removeNar(library(world));
        return {};
      },
      code: 3,
      says: /glibc-2\.40-66: its NAR is not there \(404\)/,
    },
    narinfo(
      "a NAR is shorter than announced",
      line("FileSize", "6000000"),
      /its NAR has 5000000 bytes where the narinfo/,
    ),
    narinfo(
      "no signature",
      (text) => text.replace(/^Sig: .*\n/m, ""),
      /glibc.*: it has no signature\n.*nix store sign/,
    ),
    narinfo("a signature by another key only", async (_, world) => {
      return await narinfoText(library(world), [await makeCacheSigner("other-1")]);
    }, /it is signed by other-1 only/),
    narinfo("a signature by another key under the same name", async (_, world) => {
      return await narinfoText(library(world), [await makeCacheSigner("cache-1")]);
    }, /its signature by cache-1 is not valid for the key given/),
    narinfo(
      "another NAR hash",
      line("NarHash", `sha256:${"0".repeat(52)}`),
      /the cache has another content than the store/,
    ),
    narinfo("another size", line("NarSize", "1"), /the cache has another content/),
    narinfo("other references", line("References", `${"0".repeat(32)}-x`), /the cache lists other references than the/),
    narinfo("another path", line("StorePath", `/nix/store/${"0".repeat(32)}-x`), /its narinfo is of another path/),
    narinfo("no narinfo at all", () => "<html>hello</html>", /it is no narinfo/),
    narinfo("a field twice", (text) => `${text}URL: x\n`, /its narinfo has URL twice/),
    narinfo("a damaged signature", line("Sig", "cache-1:AAAA"), /its narinfo has a damaged signature/),
    narinfo("a size that is no number", line("NarSize", "1e3"), /its narinfo has a NarSize that is no number/),
    narinfo("a hash that is no SHA-256", line("NarHash", "md5:abc"), /a NarHash that is no SHA-256/),
    narinfo("a huge narinfo", (text) => text + "X: y\n".repeat(200_000), /an answer of more than 512 KiB/),
    narinfo("a false content address", (text) => {
      return `${text.replace(/^Sig: .*\n/m, "")}CA: fixed:r:sha256:${"0".repeat(52)}\n`;
    }, /it has no signature/),
    {
      name: "the cache denies access",
      given: ({ cache }) => {
        cache.intercept = (_, path) => path.endsWith(".narinfo") ? new Response("", { status: 403 }) : undefined;
        return {};
      },
      code: 3,
      says: /the cache denies access to it \(403\)/,
    },
    {
      name: "the cache fails",
      given: ({ cache }) => {
        cache.intercept = (_, path) => path.endsWith(".narinfo") ? new Response("", { status: 500 }) : undefined;
        return {};
      },
      code: 3,
      says: /the cache answers 500/,
    },
    {
      name: "no cache there",
      given: ({ cache }) => {
        cache.intercept = () => new Response("", { status: 404 });
        return {};
      },
      code: 3,
      says:
        /Cannot use the substituter http.*: there is no binary cache, nix-cache-info answers 404 \(check --substituter\)/,
    },
    {
      name: "a cache for another store",
      given: ({ cache }) => {
        cache.intercept = (_, path) => path === "/nix-cache-info" ? new Response("StoreDir: /gnu/store\n") : undefined;
        return {};
      },
      code: 3,
      says: /for another store directory than \/nix\/store/,
    },
    {
      name: "nothing listens there",
      given: async () => {
        const gone = startCache();
        await gone[Symbol.asyncDispose]();
        return { options: { substituter: gone.url } };
      },
      code: 3,
      says: /Cannot use the substituter http.*: connection refused/,
    },
    {
      name: "another cache serves other content",
      given: async (world) => {
        const other = startCache();
        world.control.intercept = () => undefined;
        const [path] = await makeClosure([{ name: "glibc-2.40-66", narSize: 7 }]);
        if (path) await other.add([{ ...path, narHash: `sha256-${"A".repeat(43)}=` }], [world.cacheSigner]);
        closing.push(other);
        return { options: { substituter: [world.cache.url, other.url] } };
      },
      code: 3,
      says: /the cache has another content than the store here in http/,
    },
  ]).finally(closeAll));

const closing: AsyncDisposable[] = [];
async function closeAll(): Promise<void> {
  for (const one of closing.splice(0)) await one[Symbol.asyncDispose]();
}

Deno.test("publish is content with caches that are odd but serve devices well", (t) =>
  checkRows(t, [
    {
      name: "they are busy for a moment",
      given: ({ cache }) => {
        const asked = new Set<string>();
        cache.intercept = (_, path) => {
          if (asked.has(path)) return undefined;
          asked.add(path);
          return new Response("", { status: asked.size % 2 === 0 ? 429 : 503, headers: { "retry-after": "0" } });
        };
        return {};
      },
      code: 0,
      says: /all 5 paths/,
    },
    {
      name: "they keep NARs elsewhere",
      given: ({ cache }) => {
        cache.intercept = (_, path) =>
          path.startsWith("/nar/") ? Response.redirect(`${cache.url}/moved${path}`) : undefined;
        const before = cache.intercept;
        cache.intercept = (request, path) => path.startsWith("/moved/") ? new Response("x") : before(request, path);
        return {};
      },
      code: 3, // The answer there is one byte long where the narinfo says more: the length is looked at after the redirect.
      says: /its NAR has 1 bytes/,
    },
    {
      name: "they answer GET only, and send everything where one byte was asked for",
      given: ({ cache }) => {
        cache.intercept = (request, path) => {
          if (!path.startsWith("/nar/")) return undefined;
          return request.method === "HEAD" ? new Response(null, { status: 405 }) : new Response("x".repeat(200_000));
        };
        return {};
      },
      code: 0,
      says: /all 5 paths/,
    },
    {
      name: "a path is content-addressed and not signed",
      given: async (world) => {
        const nar = formatNix32(await sha256(encodeUtf8("nar of source")));
        const inner = `sha256:${
          [...await sha256(encodeUtf8("nar of source"))].map((b) => b.toString(16).padStart(2, "0")).join("")
        }`;
        const digest = await sha256(encodeUtf8(`source:${inner}:/nix/store:source`));
        const folded = new Uint8Array(20);
        digest.forEach((byte, at) => folded[at % 20]! ^= byte);
        const storePath = `/nix/store/${formatNix32(folded)}-source`;
        const [plain] = await makeClosure([{ name: "source" }]);
        const [top, ...rest] = await makeSystem(9);
        assert.ok(plain && top);
        const source = { ...plain, storePath };
        const system = { ...top, references: [...top.references, storePath].sort() };
        await world.cache.add([system, ...rest], [world.cacheSigner]);
        await world.cache.add([source], []);
        world.cache.setNarinfo(storePath, await narinfoText(source, [], { ca: `fixed:r:sha256:${nar}` }));
        return { options: { "store-path": await world.nix.add([system, ...rest, source]) } };
      },
      code: 0,
      says: /all 6 paths .*, 1 content-addressed without need of a signature/,
    },
  ]));

Deno.test("publish takes a path from whichever cache serves it well, and tells of the other", async () => {
  await using world = await makeWorld();
  await using second = startCache();
  const path = library(world);
  world.cache.setNarinfo(path.storePath, null);
  await second.add([path], [world.cacheSigner]);
  const { code, stderr } = await world.publish({ substituter: [world.cache.url, second.url] });
  assert.equal(code, 0, stderr);
  assert.match(stderr, /all 5 paths in http/);
});

Deno.test("publish --json tells a cache that lacks paths from other failures", async () => {
  await using world = await makeWorld();
  for (const { storePath } of world.system) world.cache.setNarinfo(storePath, null);
  const { code, stdout } = await world.publish({ json: true });
  assert.equal(code, 3);
  const { error } = JSON.parse(stdout);
  assert.equal(error.code, "cache_incomplete");
  assert.equal(error.exit, 3);
  assert.equal(error.details.filter((text: string) => text.includes("(404)")).length, 5);
});
