import assert from "node:assert/strict";
import { digestOf, encodeUtf8, formatClosureListing, summariseClosure, verifyRelease } from "@nix-ota/common";
import { problem } from "../testing/fake_control.ts";
import { makeKeyFile, makeWorld } from "../testing/world.ts";

Deno.test("publish signs, sends and lists a release that a device would take", async () => {
  await using world = await makeWorld();
  const { code, stdout, stderr } = await world.publish({ notes: "openssl" });
  assert.equal(code, 0, stderr);
  const [held] = world.control.releases;
  assert.ok(held);
  const policy = { keys: [world.signer.publicKey], threshold: 1, fleet: "default", channel: "prod" };
  const { release, digest } = await verifyRelease(held.envelope, policy);
  assert.equal(stdout, `prod 1 ${digest}\n`);
  assert.equal(release.revision, 1);
  assert.equal(release.prev, null);
  assert.equal(release.notes, "openssl");
  assert.deepEqual(release.substituters, [{ url: world.cache.url, keys: [world.cacheSigner.key.text] }]);
  assert.deepEqual(release.targets, [{
    system: "x86_64-linux",
    variant: "default",
    storePath: world.storePath,
    narHash: world.system[0]?.narHash,
    closure: { ...await summariseClosure(world.system) },
  }]);
  const [[path, listing] = ["", ""]] = world.control.listings;
  assert.equal(path, "/channels/prod/releases/1/closures/x86_64-linux/default");
  assert.equal(await digestOf(encodeUtf8(listing)), release.targets[0]?.closure.digest);
  assert.equal(listing, formatClosureListing(world.system));
});

Deno.test("publish follows the current release and says what changes", async () => {
  await using world = await makeWorld();
  assert.equal((await world.publish()).code, 0);
  const next = await world.addSystem(2);
  const { code, stdout, stderr } = await world.publish({ "store-path": next, json: true });
  assert.equal(code, 0, stderr);
  assert.match(stderr, /4 paths added, 4 removed/);
  assert.match(stderr, /openssl 3\.0\.13 -> 3\.0\.14/);
  const report = JSON.parse(stdout);
  assert.equal(report.revision, 2);
  assert.equal(report.prev, world.control.releases[0]?.digest);
  assert.equal(report.published, true);
  const [target] = report.targets;
  // A quarter of the unpacked size of the four new paths, as the cache says.
  assert.equal(target.downloadSize, (8_816 + 5_000_000 + 700_000 + 600) / 4);
  assert.deepEqual(target.difference.packages.map((one: { name: string }) => one.name), [
    "app",
    "etc",
    "nixos-system-fridge",
    "openssl",
  ]);
});

Deno.test("publish --dry-run signs and shows but sends nothing", async () => {
  await using world = await makeWorld();
  const out = `${world.folder}/release.json`;
  const { code, stderr } = await world.publish({ "dry-run": true, out, "token-file": undefined });
  assert.equal(code, 0, stderr);
  assert.deepEqual(world.control.requests.filter((request) => !request.startsWith("GET ")), []);
  const policy = { keys: [world.signer.publicKey], threshold: 1, fleet: "default", channel: "prod" };
  await verifyRelease(await Deno.readFile(out), policy);
});

Deno.test("publish follows links to the system, such as ./result", async () => {
  await using world = await makeWorld();
  await Deno.symlink(world.storePath, `${world.folder}/result`);
  await Deno.symlink("result", `${world.folder}/again`);
  const { code, stderr } = await world.publish({ "store-path": `${world.folder}/again/` });
  assert.equal(code, 0, stderr);
});

Deno.test("publish signs with every key, and with none twice", async () => {
  await using world = await makeWorld();
  const other = await makeKeyFile(`${world.folder}/other.key`);
  const both = await world.publish({ key: [world.keyFile, `${world.folder}/other.key`] });
  assert.equal(both.code, 0, both.stderr);
  const keys = [world.signer.publicKey, other.publicKey];
  const [held] = world.control.releases;
  await verifyRelease(held?.envelope ?? new Uint8Array(), { keys, threshold: 2, fleet: "default", channel: "prod" });
  const twice = await world.publish({ key: [world.keyFile, world.keyFile] });
  assert.equal(twice.code, 2);
  assert.match(twice.stderr, /--key names the same key twice/);
});

Deno.test("publish signs for the next revision when another publisher was faster", async () => {
  await using world = await makeWorld();
  let raced = false;
  world.control.intercept = async (request, path) => {
    if (raced || request.method !== "POST" || !path.endsWith("/publish")) return undefined;
    raced = true;
    const rival = await world.publish({ notes: "rival" });
    assert.equal(rival.code, 0, rival.stderr);
    return undefined;
  };
  const { code, stderr } = await world.publish({ notes: "ours" });
  assert.equal(code, 0, stderr);
  assert.match(stderr, /revision 1 was published meanwhile/);
  const notes = world.control.releases.map(({ release }) => [release.revision, release.notes]);
  assert.deepEqual(notes, [[1, "rival"], [2, "ours"]]);
});

Deno.test("publish --revision keeps its number in a race, unless the other went past it", async (t) => {
  for (const [revision, code] of [["7", 0], ["1", 3]] as const) {
    await t.step(`--revision ${revision}`, async () => {
      await using world = await makeWorld();
      let raced = false;
      world.control.intercept = async (request, path) => {
        if (raced || request.method !== "POST" || !path.endsWith("/publish")) return undefined;
        raced = true;
        assert.equal((await world.publish({ notes: "rival", revision: "3" })).code, 0);
        return undefined;
      };
      const result = await world.publish({ revision });
      assert.equal(result.code, code, result.stderr);
      const revisions = world.control.releases.map(({ release }) => release.revision);
      assert.deepEqual(revisions, code === 0 ? [3, 7] : [3]);
    });
  }
});

Deno.test("publish takes a lost answer for what it is: the release is there", async () => {
  await using world = await makeWorld();
  let lost = false;
  world.control.intercept = async (request, path) => {
    if (lost || request.method !== "POST" || !path.endsWith("/publish")) return undefined;
    lost = true;
    const copy = await fetch(request.url, {
      method: "POST",
      headers: request.headers,
      body: await request.arrayBuffer(),
    });
    await copy.body?.cancel();
    return problem("overloaded", "The server is busy");
  };
  const { code, stderr } = await world.publish();
  assert.equal(code, 0, stderr);
  assert.equal(world.control.releases.length, 1);
});
