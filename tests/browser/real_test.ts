import { testRelease, testSigner } from "@/common/testing/documents.ts";
import { islands, routes } from "@/routes/manifest.gen.ts";
import { mountDashboard, parseConfig, readAccess, type RunningServer, startServer } from "@nix-ota/server";
import { testDevice, testState } from "@/server/testing/test_device.ts";
import { buildAssets } from "@/tools/build.ts";
import {
  EnrolAnswer,
  type Envelope,
  ENVELOPE_CONTENT_TYPE,
  formatEnvelope,
  formatRawPublicKey,
  formatRelease,
  formatTimestamp,
  operatorPaths,
  paths,
  PublishAnswer,
  signEnvelope,
  type Signer,
} from "@nix-ota/common";
import assert from "node:assert/strict";
import { browserTest } from "./harness.ts";
import { untilLive, watch } from "./watched.ts";

const DAY_MS = 86_400_000;

async function startReal(dataDir: string, signer: Signer): Promise<RunningServer> {
  const { assets } = await buildAssets();
  return await startServer({
    config: parseConfig({ listen: "127.0.0.1:0", dataDir, publicKeys: [formatRawPublicKey(signer.publicKey)] }),
    log: () => {},
    onFatal: (error) => {
      throw error;
    },
    mountPages: (app, { reader, access }) =>
      mountDashboard(app, { reader, access: readAccess(access), assets, routes, islands }),
  });
}

async function send(url: string, envelope: Envelope, headers: Record<string, string> = {}): Promise<unknown> {
  const response = await fetch(url, {
    method: "POST",
    body: formatEnvelope(envelope),
    headers: { "content-type": ENVELOPE_CONTENT_TYPE, ...headers },
  });
  const body = await response.json();
  assert.ok(response.ok, JSON.stringify(body));
  return body;
}

browserTest("the real server shows a device from its first knock to its download", async (browser) => {
  const dataDir = await Deno.makeTempDir({ prefix: "nix-ota-browser-" });
  const signer = await testSigner(1, "release");
  const server = await startReal(dataDir, signer);
  const origin = `http://127.0.0.1:${server.listener.port}`;
  const token = (await Deno.readTextFile(server.publishToken.path)).trim();
  const publisher = { authorization: `Bearer ${token}` };
  const { page, assertClean, close } = await watch(browser, origin);
  await page.goto(origin);
  await page.getByRole("heading", { name: "Bring up your first device" }).waitFor();
  await untilLive(page, "live");

  const device = await testDevice("fridge-007");
  const answer = EnrolAnswer(await send(origin + paths.enroll, await device.enrol()), "answer");
  device.chain.nonce = answer.nonce;
  await page.getByText(device.fingerprint, { exact: true }).waitFor();

  const accepted = await fetch(origin + operatorPaths.accept("fridge-007"), {
    method: "POST",
    body: JSON.stringify({ fingerprint: device.fingerprint }),
    headers: { ...publisher, "content-type": "application/json" },
  });
  assert.equal(accepted.status, 200, await accepted.text());
  await page.getByRole("heading", { name: "A device asks to join" }).waitFor({ state: "detached" });

  const release = testRelease({
    issued: formatTimestamp(Date.now() - 1000),
    expires: formatTimestamp(Date.now() + DAY_MS),
    notes: "First light",
  });
  const signed = await signEnvelope("release", formatRelease(release), [signer]);
  const { revision, digest } = PublishAnswer(await send(origin + paths.publish("prod"), signed, publisher), "answer");
  await page.locator(".channel", { hasText: "First light" }).waitFor();
  await page.locator('tr:has-text("fridge-007") [data-standing="waiting"]').waitFor();

  const target = {
    revision,
    digest,
    storePath: release.targets[0]?.storePath ?? assert.fail(),
  };
  const progress = { paths: 1, ofPaths: 3, bytes: 100 * 2 ** 20, ofBytes: 300 * 2 ** 20 };
  const state = testState({ phase: "staging", target, progress });
  await send(origin + paths.checkin, await device.checkin({ state }));
  await page.locator('tr:has-text("fridge-007")', { hasText: "100 of 300 MiB" }).waitFor();
  await page.locator('tr:has-text("fridge-007") [data-standing="updating"]').waitFor();

  await assertClean();
  await close();
  await server.stop();
  await Deno.remove(dataDir, { recursive: true });
});
