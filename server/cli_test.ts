/** The program as its user meets it. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { ENVELOPE_CONTENT_TYPE, formatEnvelope } from "@nix-ota/common";
import { runServer, startServerProcess } from "./testing/server_process.ts";
import { testDevice } from "./testing/test_device.ts";

async function withFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "nix-ota-cli-" });
  try {
    await work(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("the server starts without a configuration, says how to go on, and stops in time with all it holds", () =>
  withFolder(async (folder) => {
    const data = `${folder}/data`;
    const server = await startServerProcess(data);
    const token = Deno.readTextFileSync(`${data}/publish-token`).trim();
    assert.match(token, /^nota_p_/);
    assert.match(server.said, new RegExp(`nix-ota publish --server ${server.url} --token-file ${data}/publish-token`));
    assert.ok(!server.said.includes(token));
    const modes = [...Deno.readDirSync(data)].map((
      { name },
    ) => [name, (Deno.statSync(`${data}/${name}`).mode ?? 0) & 0o77]);
    assert.deepEqual(modes.filter(([, open]) => open !== 0), []);
    assert.equal((Deno.statSync(data).mode ?? 0) & 0o777, 0o700);
    assert.equal(await (await fetch(`${server.url}/readyz`)).text(), "ready\n");

    const device = await testDevice("fridge-1");
    const init = { method: "POST", headers: { "content-type": ENVELOPE_CONTENT_TYPE } };
    const enrolled = await fetch(`${server.url}/enroll`, { ...init, body: formatEnvelope(await device.enrol()) });
    assert.equal((await enrolled.json()).status, "pending");
    const poll = fetch(`${server.url}/channels/prod/current`, { headers: { prefer: "wait=55" } });
    const events = await fetch(`${server.url}/api/v1/events`);
    await new Promise((resolve) => setTimeout(resolve, 100));
    const startedMs = performance.now();
    const code = await server.end("SIGTERM");
    const tookMs = performance.now() - startedMs;
    assert.equal(code, 0, server.logged());
    assert.ok(tookMs < 5000, `took ${tookMs} ms`);
    assert.equal((await poll).status, 404);
    await (await poll).body?.cancel();
    assert.match(await events.text(), /event: fleet/);
    assert.ok(!server.logged().includes(token));
    for (const line of server.logged().trim().split("\n")) JSON.parse(line);
    // Everything is in the one file.
    assert.deepEqual([...Deno.readDirSync(data)].map(({ name }) => name).filter((name) => name.includes("-wal")), []);
  }));

Deno.test("the server takes up where it was", () =>
  withFolder(async (folder) => {
    const first = await startServerProcess(folder);
    const device = await testDevice("fridge-1");
    const init = { method: "POST", headers: { "content-type": ENVELOPE_CONTENT_TYPE } };
    const body = formatEnvelope(await device.enrol());
    const before = await (await fetch(`${first.url}/enroll`, { ...init, body })).json();
    const token = Deno.readTextFileSync(`${folder}/publish-token`);

    const other = await runServer("--listen", "127.0.0.1:0", "--data-dir", folder);
    assert.deepEqual([other.code, other.out], [1, ""]);
    assert.match(other.err, /^nix-ota-server: Cannot use the data directory ".*" as another nix-ota-server runs on it/);
    const taken = await runServer("--listen", new URL(first.url).host, "--data-dir", `${folder}/other`);
    assert.equal(taken.code, 1);
    assert.match(taken.err, /^nix-ota-server: Cannot listen on 127\.0\.0\.1:\d+: another program listens there/);

    assert.equal(await first.end("SIGINT"), 0);
    const second = await startServerProcess(folder, "--behind-proxy");
    assert.match(second.said, /publish-token\n/);
    const after = await (await fetch(`${second.url}/enroll`, { ...init, body })).json();
    assert.equal(after.nonce, before.nonce);
    assert.equal(Deno.readTextFileSync(`${folder}/publish-token`), token);
    await second.end("SIGTERM");

    const wrongFleet = await runServer("--data-dir", folder, "--listen", "127.0.0.1:0", "--fleet", "other");
    assert.equal(wrongFleet.code, 1);
    assert.match(wrongFleet.err, /Cannot serve the fleet "other" as the data directory is that of "default"/);
  }));

Deno.test("backup copies a running server's database, and never over another file", () =>
  withFolder(async (folder) => {
    const data = `${folder}/data`;
    const server = await startServerProcess(data);
    const device = await testDevice("fridge-1");
    const init = { method: "POST", headers: { "content-type": ENVELOPE_CONTENT_TYPE } };
    await (await fetch(`${server.url}/enroll`, { ...init, body: formatEnvelope(await device.enrol()) })).text();
    const file = `${folder}/copy.sqlite`;
    const first = await runServer("backup", file, "--data-dir", data);
    assert.deepEqual([first.code, first.err], [0, ""]);
    assert.match(first.out, /^Backed up [\d.]+ KiB to /);
    assert.equal((Deno.statSync(file).mode ?? 0) & 0o777, 0o600);
    const copy = new DatabaseSync(file, { readOnly: true });
    assert.equal(copy.prepare("PRAGMA integrity_check").get()?.["integrity_check"], "ok");
    assert.deepEqual(copy.prepare("SELECT name FROM device").all().map(({ name }) => name), ["fridge-1"]);
    copy.close();
    const second = await runServer("backup", file, "--data-dir", data);
    assert.equal(second.code, 1);
    assert.match(second.err, /Cannot back up to ".*" as it exists/);
    assert.equal((await runServer("backup", `${folder}/no/such/folder/copy`, "--data-dir", data)).code, 1);
    const nowhere = await runServer("backup", `${folder}/x`, "--data-dir", `${folder}/nowhere`);
    assert.match(nowhere.err, /Cannot back up ".*" as it does not exist \(is this the --data-dir\?\)/);
    assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name).sort(), ["copy.sqlite", "data"]);
    await server.end("SIGKILL");
  }));

Deno.test("--check-config looks at the configuration and the files it names", async (t) => {
  await withFolder(async (folder) => {
    const [config, token] = [`${folder}/config.json`, `${folder}/token`];
    Deno.writeTextFileSync(token, "a-token-that-is-long-enough\n");
    const cases: [string, string, number, RegExp][] = [
      ["good", JSON.stringify({ fleet: "a", publishTokenFile: token }), 0, /^The configuration is valid\n$/],
      [
        "a missing token file",
        '{"publishTokenFile":"/nowhere"}',
        2,
        /^nix-ota-server: Cannot use the publish token file "\/nowhere": it does not exist\n$/,
      ],
      ["a wrong key", '{"fleet":1}', 2, /^nix-ota-server: Cannot use the configuration: fleet must be .*\n$/],
      ["no JSON", "fleet: a", 2, /^nix-ota-server: Cannot read the configuration file ".*" as it is not JSON: .*\n$/],
    ];
    for (const [name, text, code, expected] of cases) {
      await t.step(name, async () => {
        Deno.writeTextFileSync(config, text);
        const result = await runServer("--check-config", "--config", config);
        assert.equal(result.code, code);
        assert.match(result.out + result.err, expected);
      });
    }
    await t.step("no file", async () => {
      const { code, err } = await runServer("--check-config", "--config", `${folder}/nowhere`);
      assert.deepEqual([code, /it does not exist\n$/.test(err)], [2, true]);
    });
  });
});

Deno.test("the program explains itself", async () => {
  const help = await runServer("--help");
  assert.equal(help.code, 0);
  assert.match(help.out, /^nix-ota-server: /);
  assert.match((await runServer("--version")).out, /^nix-ota-server \d+\.\d+\.\d+\n$/);
  const wrong = await runServer("--nonsense");
  assert.deepEqual([wrong.code, wrong.out], [2, ""]);
});
