import assert from "node:assert/strict";
import { allowedSubstituters, fetchOptions } from "./nix.ts";

Deno.test("allowedSubstituters() asks the device's own cache first and none that its settings forbid", () => {
  const own = { url: "https://own.example", key: { name: "own-1", bytes: new Uint8Array(), text: "own-1:x" } };
  const release = [{ url: "http://a.example", keys: ["a"] }, { url: "https://b.example", keys: ["b"] }];
  assert.deepEqual(allowedSubstituters({ cache: own, allowHttp: false }, release).map(({ url }) => url), [
    "https://own.example",
    "https://b.example",
  ]);
  assert.deepEqual(allowedSubstituters({ cache: null, allowHttp: true }, release), release);
});

Deno.test("fetchOptions() names exactly these caches and keys and believes no remembered 404", () => {
  const options = fetchOptions([{ url: "https://a.example", keys: ["k1", "k2"] }, {
    url: "https://b.example",
    keys: ["k1"],
  }]);
  const value = (name: string) => options[options.indexOf(name) + 1];
  assert.equal(value("substituters"), "https://a.example https://b.example");
  assert.equal(value("trusted-public-keys"), "k1 k2");
  assert.equal(value("extra-substituters"), "");
  assert.equal(value("extra-trusted-public-keys"), "");
  assert.equal(value("require-sigs"), "true");
  assert.equal(value("narinfo-cache-negative-ttl"), "0");
  assert.equal(value("narinfo-cache-positive-ttl"), "0");
  assert.equal(value("fsync-store-paths"), "true");
  assert.equal(value("max-jobs"), "0");
  assert.ok(options.every((one, at) => at % 3 !== 0 || one === "--option"));
});

Deno.test("fetchOptions() without a cache asks none", () => {
  const options = fetchOptions([]);
  assert.equal(options[options.indexOf("substituters") + 1], "");
});
