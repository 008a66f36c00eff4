import assert from "node:assert/strict";
import { blobsOf, incompressible, nixSpec } from "./closures.ts";
import { parseEntrySystem, parseGenerationLink, parseLoaderDefault, parseSwitchLog } from "./device.ts";
import { openNetGate } from "./net_gate.ts";
import { nixMessages, pathProgress, thinned } from "./nix_output.ts";

Deno.test("the boot loader's files are read as systemd-boot reads them", () => {
  assert.equal(parseLoaderDefault("timeout 5\ndefault nixos-generation-12.conf\n"), "nixos-generation-12.conf");
  assert.equal(parseLoaderDefault("timeout 5\n"), undefined);
  const entry = "title NixOS\noptions init=/nix/store/abc-nixos-system/init loglevel=4\n";
  assert.equal(parseEntrySystem(entry), "/nix/store/abc-nixos-system");
  assert.equal(parseEntrySystem("title NixOS\n"), undefined);
});

Deno.test("parseGenerationLink() reads a profile's link", () => {
  assert.deepEqual(["system-42-link", "system-42", "/nix/store/x"].map(parseGenerationLink), [
    42,
    undefined,
    undefined,
  ]);
});

Deno.test("parseSwitchLog() reads one call a line and refuses half a line", () => {
  const calls = parseSwitchLog("12 switch /nix/store/a pid=3\n13 init /nix/store/a pid=1\n");
  assert.deepEqual(calls, [
    { atSeconds: 12, action: "switch", storePath: "/nix/store/a" },
    { atSeconds: 13, action: "init", storePath: "/nix/store/a" },
  ]);
  assert.throws(() => parseSwitchLog("12 swi"), /Cannot read the line "12 swi" of the switch log/);
});

Deno.test("incompressible() repeats itself for a seed and does not compress", async () => {
  const bytes = await incompressible(7, 100_000);
  assert.deepEqual(bytes, await incompressible(7, 100_000));
  assert.notDeepEqual(bytes, await incompressible(8, 100_000));
  const compressed = await new Response(
    new Blob([bytes as Uint8Array<ArrayBuffer>]).stream().pipeThrough(new CompressionStream("gzip")),
  )
    .bytes();
  assert.ok(compressed.length > 99_000);
});

Deno.test("generations differ in versions that go up and down, and share the large path", () => {
  const specs = [1, 2, 3].map((generation) => ({ generation }));
  const packages = specs.map((spec) => nixSpec(spec).packages.join(" "));
  assert.deepEqual(packages, [
    "bash-5.2p37 openssl-3.0.14 curl-8.9.1 nano-8.2",
    "bash-5.2p37 openssl-3.0.15 curl-8.9.0 htop-3.3.0 nano-8.2",
    "bash-5.2p37 openssl-3.0.16 curl-8.9.1 htop-3.3.0",
  ]);
  assert.deepEqual(specs.map((spec) => nixSpec(spec).kernel), ["linux-6.6.30", "linux-6.6.31", "linux-6.6.32"]);
  assert.equal(blobsOf(specs).length, 4, "one of each generation and the shared one");
});

Deno.test("Nix' log is read for messages and progress, and thinned without losing either", () => {
  const log = [
    '@nix {"action":"start","id":5,"level":0,"parent":0,"text":"","type":103}',
    '@nix {"action":"result","fields":[0,2,1,0],"id":5,"type":105}',
    '@nix {"action":"msg","level":0,"msg":"\\u001b[31;1merror:\\u001b[0m no"}',
    '@nix {"action":"result","fields":[1,2,1,0],"id":5,"type":105}',
    "plain words",
  ].join("\n");
  assert.equal(nixMessages(log), "error: no\nplain words");
  assert.deepEqual(pathProgress(log), [1, 2]);
  assert.deepEqual(pathProgress("warning: nothing\n"), [0, 0]);
  assert.equal(thinned(log), log.split("\n").toSpliced(3, 1).join("\n"));
});

Deno.test("openNetGate() passes bytes on, refuses when down, and listens on the same port again", async () => {
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    return new Response(new URL(request.url).pathname);
  });
  const gate = openNetGate(`http://127.0.0.1:${server.addr.port}/base/`);
  const read = () => fetch(`${gate.url}x`).then((response) => response.text(), () => "refused");
  assert.equal(await read(), "/base/x");
  await gate.set("down");
  assert.equal(await read(), "refused");
  await gate.set("up");
  assert.equal(await read(), "/base/x");
  await gate.close();
});
