/** What the agent's design rests on: how real Nix fails, what it remembers, and what a root or a power cut means to it. */

import assert from "node:assert/strict";
import { ensureNix } from "../../tools/nix_tools.ts";
import { createNixBench, type NixBench, type NixBenchOptions, pathNamed, STAGED_ROOT } from "./nix_bench.ts";
import { runNixCase } from "./nix_case.ts";
import { FULL_DISK_CASES, NIX_CASES } from "./nix_failures.ts";
import { ACTIVITY, nixEvents, nixMessages, pathProgress, RESULT } from "./nix_output.ts";
import { until } from "./wait.ts";

/** The large path takes a moment, the rest none. */
const SMALL = { baseBytes: 2_000_000, deltaBytes: 40_000 };

/** Leaves a second to do something during the download. */
const SLOW = { on: "nar", minBytes: 1_000_000, fault: { kind: "slow", bytesPerSecond: 1_500_000 } } as const;

async function withBench(
  test: (bench: NixBench) => Promise<void>,
  options: Partial<NixBenchOptions> = {},
): Promise<void> {
  await using bench = await createNixBench({ tools: await ensureNix(), ...SMALL, ...options });
  await test(bench);
}

Deno.test("every fault of a cache makes Nix fail as it is written down", async (t) => {
  await withBench(async (bench) => {
    await bench.prepareUpdate();
    for (const row of NIX_CASES.filter((candidate) => candidate.isSlow !== true)) {
      await t.step(`${row.name}: ${row.what}`, async () => {
        const { code, stderr } = await runNixCase(bench, row);
        assert.equal(code, row.code, nixMessages(stderr));
        assert.match(nixMessages(stderr), row.says);
        assert.equal(
          (await bench.device.exec(["nix-store", "--check-validity", bench.target.storePath])).code,
          row.code,
        );
      });
    }
  });
});

Deno.test("a full disk fails, and after a collection of garbage the old system is still whole", async (t) => {
  await withBench(async (bench) => {
    const { old } = bench;
    const [large] = await bench.fleet.build([{ generation: 9, ...SMALL, deltaBytes: 24_000_000 }]);
    assert.ok(large !== undefined);
    assert.equal((await bench.realise({ storePath: old.storePath })).code, 0);
    await bench.device.output(["nix-env", "--profile", "/nix/var/nix/profiles/system", "--set", old.storePath]);
    for (const row of FULL_DISK_CASES) {
      await t.step(row.name, async () => {
        const { code, stderr } = await bench.realise({ storePath: large.storePath });
        assert.equal(code, row.code);
        assert.match(nixMessages(stderr), row.says);
      });
    }
    await bench.forgetDownload();
    assert.equal((await bench.device.exec(["nix-store", "--verify-path", ...old.paths])).code, 0);
  }, { storeBytes: 24_000_000 });
});

Deno.test("a missing path is remembered for an hour unless the call says otherwise", async () => {
  await withBench(async (bench) => {
    const defaults = { options: { "narinfo-cache-negative-ttl": "3600" } };
    bench.cache.setFault({ on: "narinfo", fault: { kind: "status", status: 404 } });
    assert.equal((await bench.realise(defaults)).code, 1);
    bench.cache.setFault();
    bench.cache.forgetRequests();
    assert.equal((await bench.realise(defaults)).code, 1, "published since, and still not seen");
    assert.deepEqual(bench.cache.requests, []);
    assert.equal((await bench.realise()).code, 0);
  });
});

Deno.test("a root that is made before the path exists survives a collection and then protects it", async () => {
  await withBench(async (bench) => {
    const { device, target } = bench;
    await device.output(["ln", "-sfn", target.storePath, STAGED_ROOT]);
    await device.output(["nix-store", "--gc"]);
    assert.equal(await device.output(["readlink", STAGED_ROOT]), `${target.storePath}\n`);
    bench.cache.setFault(SLOW);
    const download = await device.spawn(bench.realiseArgv());
    await until("the large path", 10_000, () => bench.cache.requests.some(({ fault }) => fault === "slow"));
    await device.output(["nix-store", "--gc"]);
    assert.equal((await download.ended).code, 0, "what a running download has is protected by Nix itself");
    await device.output(["nix-store", "--gc"]);
    assert.equal((await device.exec(["nix-store", "--check-validity", ...target.paths])).code, 0);
    await bench.forgetDownload();
    assert.equal(
      (await device.exec(["nix-store", "--check-validity", target.storePath])).code,
      1,
      "without a root it goes",
    );
  });
});

Deno.test("a killed download goes on from the paths that were complete", async () => {
  await withBench(async (bench) => {
    const { device, target } = bench;
    bench.cache.setFault(SLOW);
    const download = await device.spawn(bench.realiseArgv());
    await until("the large path", 10_000, () => bench.cache.requests.some(({ fault }) => fault === "slow"));
    await until("another path", 10_000, () => pathProgress(download.stderr())[0] > 0);
    await download.kill("SIGKILL");
    assert.equal((await download.ended).code, 137);
    assert.equal((await device.exec(["nix-store", "--check-validity", target.storePath])).code, 1);
    bench.cache.setFault();
    bench.cache.forgetRequests();
    assert.equal((await bench.realise()).code, 0);
    const nars = bench.cache.requests.filter(({ path }) => path.startsWith("nar/"));
    assert.ok(nars.length < target.paths.length, `${nars.length} of ${target.paths.length} were fetched again`);
    assert.equal((await device.exec(["nix-store", "--verify-path", ...target.paths])).code, 0);
  });
});

Deno.test("lost contents are found by --verify-path and fetched again by --repair-path, and by nothing less", async () => {
  await withBench(async (bench) => {
    const { device, target } = bench;
    assert.equal((await bench.realise()).code, 0);
    const lost = [pathNamed(target, "app"), target.storePath];
    await device.powerCut({ lose: lost });
    await device.start();
    bench.cache.forgetRequests();
    assert.equal((await bench.realise()).code, 0, "Nix believes its database");
    assert.deepEqual(bench.cache.requests, []);
    const verified = await device.exec(["nix-store", "--verify-path", ...target.paths]);
    assert.equal(verified.code, 1);
    const found = [...verified.stderr.matchAll(/^path '(\S+)' was modified!/gm)].map((match) => match[1]);
    assert.deepEqual(found.sort(), lost.sort());
    const source = [
      "--option",
      "substituters",
      bench.url,
      "--option",
      "trusted-public-keys",
      bench.fleet.key.publicKey,
    ];
    await device.output(["nix-store", "--realise", "--repair", target.storePath, ...source]);
    const again = await device.exec(["nix-store", "--verify-path", ...target.paths]);
    assert.match(again.stderr, /app-1\.2' was modified/, "--realise --repair looks at one path only");
    await device.output(["nix-store", "--repair-path", ...lost, ...source]);
    assert.equal((await device.exec(["nix-store", "--verify-path", ...target.paths])).code, 0);
  });
});

Deno.test("a download reports how many paths and bytes it has and expects", async () => {
  await withBench(async (bench) => {
    const { stderr, stdout } = await bench.realise();
    assert.equal(stdout, `${STAGED_ROOT}\n`);
    const events = nixEvents(stderr);
    const kinds = new Map(events.filter(({ action }) => action === "start").map(({ id, type }) => [id, type]));
    const results = events.filter(({ action }) => action === "result");
    assert.deepEqual(pathProgress(stderr), [bench.target.paths.length, bench.target.paths.length]);
    const expected = results.filter(({ type, fields }) =>
      type === RESULT.setExpected && fields?.[0] === ACTIVITY.copyPath
    );
    assert.equal(kinds.get(expected.at(-1)?.id), ACTIVITY.realise);
    assert.equal(expected.at(-1)?.fields?.[1], bench.target.narSizeBytes);
    assert.ok(
      Number(expected[0]?.fields?.[1]) < bench.target.narSizeBytes,
      "the total grows while paths are discovered",
    );
    const copied = new Map<number | undefined, number>();
    for (const { id, type, fields } of results) {
      if (type === RESULT.progress && kinds.get(id) === ACTIVITY.copyPath) copied.set(id, Number(fields?.[0]));
    }
    const copiedBytes = [...copied.values()].reduce((sum, bytes) => sum + bytes, 0);
    assert.ok(copiedBytes <= bench.target.narSizeBytes);
    assert.ok(copiedBytes > 0.9 * bench.target.narSizeBytes, "the last bytes of a path are not always reported");
  });
});
