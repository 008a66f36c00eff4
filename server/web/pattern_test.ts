import assert from "node:assert/strict";
import { comparePages, isPage, layoutsOf, toPattern } from "./pattern.ts";

Deno.test("toPattern() turns file names into URL patterns", async (t) => {
  const cases: [id: string, pattern: string][] = [
    ["index", "/"],
    ["about", "/about"],
    ["devices/index", "/devices"],
    ["devices/[id]", "/devices/:id"],
    ["devices/[id]/log", "/devices/:id/log"],
    ["(admin)/users/index", "/users"],
    ["files/[...path]", "/files/:path{.+}"],
  ];
  for (const [id, pattern] of cases) await t.step(id, () => assert.equal(toPattern(id), pattern));
});

Deno.test("toPattern() refuses names that would not mean what they seem to", () => {
  for (const id of ["devices/[id", "[a]b", "Devices", "a:b", "a*", "[...]"]) {
    assert.throws(() => toPattern(id), /Cannot use routes\/.+ as a page/, id);
  }
});

Deno.test("comparePages() tries plain parts before [name], and that before [...name]", () => {
  const ids = ["files/[...path]", "devices/[id]", "[...rest]", "devices/new", "index", "files/readme", "files/[name]"];
  assert.deepEqual(ids.sort(comparePages), [
    "index",
    "devices/new",
    "devices/[id]",
    "files/readme",
    "files/[name]",
    "files/[...path]",
    "[...rest]",
  ]);
});

Deno.test("isPage() is false for the files that make up pages", () => {
  assert.deepEqual(["index", "devices/[id]", "_app", "devices/_layout", "_404"].filter(isPage), [
    "index",
    "devices/[id]",
  ]);
});

Deno.test("layoutsOf() lists the layouts that exist, innermost first", () => {
  const all = () => true;
  assert.deepEqual(layoutsOf("index", all), ["_layout"]);
  assert.deepEqual(layoutsOf("a/b/[id]", all), ["a/b/_layout", "a/_layout", "_layout"]);
  assert.deepEqual(layoutsOf("a/b/[id]", (id) => id !== "a/_layout"), ["a/b/_layout", "_layout"]);
});
