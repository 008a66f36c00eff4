/** The publisher on a real Nix store, a real binary cache and the real server: what it finds before a device would. */

import assert from "node:assert/strict";
import {
  digestOf,
  encodeUtf8,
  formatPrivateKeyPem,
  formatRawPublicKey,
  generateKey,
  parsePrivateKeyPem,
  paths,
  type Signer,
  signerFromPkcs8,
} from "@nix-ota/common";
import type { Fault, FaultRule } from "../rig/cache_faults.ts";
import { type CacheServer, startCacheServer } from "../rig/cache_server.ts";
import { ControlServer, freePort } from "../rig/control_server.ts";
import { commandLine, type Finished } from "../rig/programs.ts";
import { type Depot, depotOfFile } from "./depot.ts";

const depot = depotOfFile({ first: { generation: 1 }, second: { generation: 2 } });
type FileDepot = Depot<"first" | "second">;

const CHANNEL = "prod";

/** A server without a release, a cache, and a key in a file. */
class Counter implements AsyncDisposable {
  readonly #parts: AsyncDisposableStack;
  readonly depot: FileDepot;
  readonly control: ControlServer;
  readonly cache: CacheServer;
  readonly folder: string;

  private constructor(
    parts: AsyncDisposableStack,
    { depot, control, cache, folder }: Pick<Counter, "depot" | "control" | "cache" | "folder">,
  ) {
    this.#parts = parts;
    this.depot = depot;
    this.control = control;
    this.cache = cache;
    this.folder = folder;
  }

  static async open(depot: FileDepot, cacheDir: string = depot.cacheDir): Promise<Counter> {
    await using parts = new AsyncDisposableStack();
    const folder = await Deno.makeTempDir({ dir: depot.folder });
    const control = parts.use(new ControlServer({ folder, port: freePort() }));
    const cache = parts.use(startCacheServer({ dir: cacheDir }));
    await control.start();
    const { pkcs8 } = await generateKey();
    await Deno.writeTextFile(`${folder}/sign.key`, formatPrivateKeyPem(pkcs8), { mode: 0o600 });
    return new Counter(parts.move(), { depot, control, cache, folder });
  }

  /** Runs the publisher where Nix and the systems are. */
  async publish(storePath: string, more: readonly string[] = []): Promise<Finished> {
    const { depot, control, cache, folder } = this;
    const options = {
      server: control.url,
      "token-file": control.tokenFile,
      key: `${folder}/sign.key`,
      channel: CHANNEL,
      "store-path": storePath,
      substituter: cache.url,
      "substituter-key": depot.cacheKey.publicKey,
    };
    const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);
    return await depot.ci.exec(commandLine("nix-ota", ["publish", ...args, ...more]), { env: depot.env });
  }

  /** The server's answer to a path. */
  async get(path: string): Promise<Response> {
    return await fetch(this.control.url + path);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#parts.disposeAsync();
  }
}

Deno.test("publish takes real systems from link to listing, and says what changes between them", async () => {
  await using counter = await Counter.open(depot());
  const { first, second } = depot().systems;
  const link = `${counter.folder}/result`;
  await Deno.symlink(first.storePath, link);
  const one = await counter.publish(link);
  assert.equal(one.code, 0, one.stderr);
  const two = await counter.publish(second.storePath, ["--json"]);
  assert.equal(two.code, 0, two.stderr);
  const report = JSON.parse(two.stdout);
  assert.equal(report.revision, 2);
  const [target] = report.targets;
  const isNew = (path: string): boolean => !first.paths.includes(path);
  assert.deepEqual(target.difference.added.toSorted(), second.paths.filter(isNew));
  const kernel = target.difference.packages.find(({ name }: { name: string }) => name === "linux");
  assert.deepEqual(kernel, { name: "linux", kind: "up", before: ["6.6.30"], after: ["6.6.31"] });

  const envelope = new Uint8Array(await (await counter.get(paths.current(CHANNEL))).arrayBuffer());
  const file = `${counter.folder}/release.json`;
  await Deno.writeFile(file, envelope);
  const inspected = await depot().ci.exec(commandLine("nix-ota", ["inspect", file, "--json"]), { env: depot().env });
  const { release } = JSON.parse(inspected.stdout);
  assert.equal(release.targets[0].storePath, second.storePath);
  const at = { channel: CHANNEL, revision: 2, system: release.targets[0].system, variant: "default" };
  const listing = await (await counter.get(paths.listing(at))).text();
  assert.equal(await digestOf(encodeUtf8(listing)), release.targets[0].closure.digest);
});

const status = (code: number): Fault => ({ kind: "status", status: code });
const PAYLOAD = { on: "nar", minBytes: 150_000 } as const;

/** What goes wrong in the cache, and what the publisher says of it before a device has to. */
const FAULTS: readonly { what: string; faults: readonly FaultRule[]; says: RegExp }[] = [
  { what: "no signature", faults: [{ fault: { kind: "no-signature" }, on: "narinfo" }], says: /it has no signature/ },
  {
    what: "a bad signature",
    faults: [{ fault: { kind: "bad-signature" }, on: "narinfo" }],
    says: /its signature by \S+ is not valid for the key given/,
  },
  { what: "another NarHash", faults: [{ fault: { kind: "wrong-nar-hash" }, on: "narinfo" }], says: /another content/ },
  { what: "another NarSize", faults: [{ fault: { kind: "wrong-nar-size" }, on: "narinfo" }], says: /another content/ },
  { what: "404 for narinfos", faults: [{ fault: status(404), on: "narinfo" }], says: /it is not there \(404\)/ },
  { what: "404 for a nar", faults: [{ fault: status(404), ...PAYLOAD }], says: /its NAR is not there \(404\)/ },
  { what: "403 for a nar", faults: [{ fault: status(403), ...PAYLOAD }], says: /denies access to its NAR \(403\)/ },
  { what: "401 for all", faults: [{ fault: status(401), on: "all" }], says: /nix-cache-info answers 401/ },
  { what: "500 always", faults: [{ fault: status(500), on: "all" }], says: /nix-cache-info answers 500/ },
];

Deno.test("publish refuses a cache that devices would fail at", async (t) => {
  await using counter = await Counter.open(depot());
  for (const { what, faults, says } of FAULTS) {
    await t.step(what, async () => {
      counter.cache.setFault(...faults);
      const { code, stderr } = await counter.publish(depot().systems.first.storePath);
      assert.equal(code, 3, stderr);
      assert.match(stderr, says);
      assert.equal((await counter.get(paths.current(CHANNEL))).status, 404, "nothing was published");
    });
  }
  await t.step("and publishes once it is mended", async () => {
    counter.cache.setFault();
    const { code, stderr } = await counter.publish(depot().systems.first.storePath);
    assert.equal(code, 0, stderr);
  });
});

Deno.test("publish gives advice that mends an unsigned cache", async () => {
  const { ci, systems, folder, cacheKey } = depot();
  const cacheDir = `${await Deno.makeTempDir({ dir: folder })}/unsigned`;
  await ci.copyToCache([systems.first], cacheDir);
  await using counter = await Counter.open(depot(), cacheDir);
  const refused = await counter.publish(systems.first.storePath);
  assert.equal(refused.code, 3, refused.stderr);
  const advice = /To do: sign the paths in the cache, (nix store sign .*), or name/.exec(refused.stderr)?.[1] ?? "";
  const keyFile = `${counter.folder}/cache.secret`;
  await Deno.writeTextFile(keyFile, cacheKey.secretKey, { mode: 0o600 });
  const command = advice.replace("<cache's store URL>", `file://${cacheDir}`).replace("<secret key>", keyFile);
  await ci.output(command.split(" "));
  const { code, stderr } = await counter.publish(systems.first.storePath);
  assert.equal(code, 0, stderr);
});

Deno.test("publish names the key that is missing, and refuses what is no system", async () => {
  await using counter = await Counter.open(depot());
  const { first } = depot().systems;
  const library = first.paths.find((path) => path.includes("-glibc-")) ?? "";
  const noSystem = await counter.publish(library);
  assert.equal(noSystem.code, 2);
  assert.match(noSystem.stderr, /it has no executable bin\/switch-to-configuration, so it is no NixOS system/);
  const unknown = await counter.publish(library.replace(/-glibc-.*/, "-unknown"));
  assert.equal(unknown.code, 2);
  assert.match(unknown.stderr, /nix cannot walk its closure, .*is not valid/);
});

Deno.test("a stolen token with another key publishes nothing, even one that trusts the current release", async () => {
  await using counter = await Counter.open(depot());
  const { first, second } = depot().systems;
  assert.equal((await counter.publish(first.storePath, ["--out", `${counter.folder}/first.json`])).code, 0);
  const { signer } = await readKey(`${counter.folder}/sign.key`);
  const { pkcs8 } = await generateKey();
  await Deno.writeTextFile(`${counter.folder}/sign.key`, formatPrivateKeyPem(pkcs8));
  const careful = await counter.publish(second.storePath);
  assert.equal(careful.code, 3);
  assert.match(careful.stderr, /it is signed by none of the keys given/);
  const bold = await counter.publish(second.storePath, ["--trust", formatRawPublicKey(signer.publicKey), "--json"]);
  assert.equal(bold.code, 4, bold.stderr);
  assert.equal(JSON.parse(bold.stdout).error.code, "signatures_insufficient");
  const head = await (await counter.get(paths.current(CHANNEL))).text();
  assert.equal(head, await Deno.readTextFile(`${counter.folder}/first.json`));
});

async function readKey(file: string): Promise<{ signer: Signer }> {
  return { signer: await signerFromPkcs8(parsePrivateKeyPem(await Deno.readTextFile(file))) };
}
