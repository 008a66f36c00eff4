import { fakeDevice, idleState } from "@/server/web/testing/fake_device.ts";
import { busyFleet, FakeFleet, fakeRelease } from "@/server/web/testing/fake_fleet.ts";
import assert from "node:assert/strict";
import { browserTest } from "./harness.ts";
import { serve } from "./served.ts";
import { untilLive, watch } from "./watched.ts";

browserTest("the overview loads without one error, breach of its policy or request to elsewhere", async (browser) => {
  const served = await serve(busyFleet(Date.now));
  const { page, assertClean, close } = await watch(browser, served.origin);
  await page.goto(served.origin);
  await untilLive(page, "live");
  assert.equal(await page.locator("tbody tr").count(), 19);
  await assertClean();
  assert.deepEqual(served.faults, []);
  await close();
  await served.stop();
});

browserTest("the table, the counts and the news move with the stream, without a reload", async (browser) => {
  const fleet = new FakeFleet({ now: Date.now });
  fleet.put(fakeDevice("kiosk-1", { standing: "current", runningRevision: 41 }));
  fleet.publish(fakeRelease("prod", 41), { quietly: true });
  const served = await serve(fleet);
  const { page, assertClean, close } = await watch(browser, served.origin);
  await page.goto(served.origin);
  await untilLive(page, "live");
  await page.evaluate(() => document.body.dataset["mark"] = "same page");

  fleet.publish(fakeRelease("prod", 42, { notes: "The new one", publishedMs: Date.now() }));
  await page.getByText("release 42", { exact: true }).waitFor();
  await page.locator('tr:has-text("kiosk-1") [data-standing="waiting"]').waitFor();
  fleet.step();
  await page.locator('tr:has-text("kiosk-1") progress').waitFor();
  while (fleet.fleet().devices.current === 0) fleet.step();
  await page.locator('tr:has-text("kiosk-1") [data-standing="current"]').waitFor();
  await page.locator(".happenings", { hasText: "kiosk-1 runs release 42" }).waitFor();
  await page.locator(".percent", { hasText: "100" }).waitFor();

  fleet.put(fakeDevice("kiosk-2", { status: "pending", standing: "pending", state: null, seenMs: null }));
  await page.getByRole("heading", { name: "A device asks to join" }).waitFor();
  fleet.put(fakeDevice("kiosk-2"));
  await page.getByRole("heading", { name: "A device asks to join" }).waitFor({ state: "detached" });

  assert.equal(await page.evaluate(() => document.body.dataset["mark"]), "same page");
  await assertClean();
  await close();
  await served.stop();
});

browserTest("an empty server's first device replaces the first steps", async (browser) => {
  const fleet = new FakeFleet({ now: Date.now });
  const served = await serve(fleet);
  const { page, assertClean, close } = await watch(browser, served.origin);
  await page.goto(served.origin);
  await page.getByRole("heading", { name: "Bring up your first device" }).waitFor();
  await untilLive(page, "live");
  fleet.put(fakeDevice("first"));
  await page.getByRole("link", { name: "first", exact: true }).first().waitFor();
  assert.equal(await page.getByRole("heading", { name: "Bring up your first device" }).count(), 0);
  await assertClean();
  await close();
  await served.stop();
});

browserTest("a page whose server is gone says since when, and catches up with what it missed", async (browser) => {
  const fleet = new FakeFleet({ now: Date.now });
  fleet.put(fakeDevice("kiosk-1", { standing: "current", runningRevision: 41 }));
  const first = await serve(fleet);
  const { page, close } = await watch(browser, first.origin);
  await page.goto(first.origin);
  await untilLive(page, "live");
  await page.evaluate(() => document.body.dataset["mark"] = "same page");

  await first.stop();
  await untilLive(page, "reconnecting");
  await untilLive(page, "stale");
  assert.match(await page.locator(".live").innerText(), /^Stale since \d\d:\d\d:\d\d UTC$/);
  // Nobody hears of these, not even as an event.
  fleet.put(fakeDevice("kiosk-1", { standing: "failed", state: { ...idleState(Date.now()), result: "rolled_back" } }));
  fleet.put(fakeDevice("kiosk-2"));

  const second = await serve(fleet, { port: first.port });
  await untilLive(page, "live");
  await page.locator('tr:has-text("kiosk-1") [data-standing="failed"]').waitFor();
  await page.locator('tr:has-text("kiosk-2")').waitFor();
  assert.equal(await page.evaluate(() => document.body.dataset["mark"]), "same page");
  await close();
  await second.stop();
});

browserTest(
  "a stream on which nothing happens is opened anew, and a server that does not answer then is gone",
  async (browser) => {
    const fleet = new FakeFleet({ now: Date.now });
    fleet.put(fakeDevice("kiosk-1"));
    const served = await serve(fleet);
    const { page, close } = await watch(browser, served.origin);
    let streams = 0;
    page.on("request", (request) => streams += request.url().endsWith("/events") ? 1 : 0);
    await page.clock.install();
    await page.goto(served.origin);
    await untilLive(page, "live");
    await page.clock.fastForward(40_000);
    assert.equal(streams, 1);
    await page.clock.fastForward(10_000);
    await page.waitForTimeout(200);
    assert.equal(streams, 2);
    assert.equal(await page.locator(".live").innerText(), "Live");

    // As when the network between swallows everything: no answer, and no end either.
    await page.route("**/api/v1/events", () => {});
    await page.clock.fastForward(50_000);
    await page.clock.fastForward(11_000);
    await untilLive(page, "reconnecting");
    await page.clock.fastForward(9_000);
    await untilLive(page, "stale");
    await close();
    await served.stop();
  },
);

browserTest("a page from before an update of the server asks to be reloaded", async (browser) => {
  const fleet = new FakeFleet({ now: Date.now });
  fleet.put(fakeDevice("kiosk-1"));
  const served = await serve(fleet);
  const { page, close } = await watch(browser, served.origin);
  await page.goto(served.origin);
  await untilLive(page, "live");
  fleet.put({ ...fakeDevice("kiosk-1"), standing: "a standing of tomorrow" } as never);
  await page.getByRole("link", { name: "Reload: the server was updated" }).waitFor();
  await close();
  await served.stop();
});

browserTest("a browser that leaves is not held on to", async (browser) => {
  const fleet = busyFleet(Date.now);
  const served = await serve(fleet);
  const { page, close } = await watch(browser, served.origin);
  await page.goto(served.origin);
  await untilLive(page, "live");
  assert.equal(fleet.listeners, 1);
  await close();
  for (let tries = 0; fleet.listeners > 0 && tries < 50; tries++) await new Promise((done) => setTimeout(done, 20));
  assert.equal(fleet.listeners, 0);
  await served.stop();
});

browserTest("a device's own page follows its download", async (browser) => {
  const fleet = new FakeFleet({ now: Date.now });
  fleet.put(fakeDevice("kiosk-1", { standing: "current" }));
  const served = await serve(fleet);
  const { page, assertClean, close } = await watch(browser, served.origin);
  await page.goto(`${served.origin}/devices/kiosk-1`);
  await untilLive(page, "live");
  fleet.publish(fakeRelease("prod", 2));
  fleet.step();
  await page.locator("progress").waitFor();
  await page.getByText(/of 38 paths/).waitFor();
  await assertClean();
  await close();
  await served.stop();
});

browserTest("the command that accepts a device is copied whole", async (browser) => {
  const fleet = new FakeFleet({ now: Date.now });
  fleet.put(fakeDevice("new-1", { status: "pending", standing: "pending", state: null, seenMs: null }));
  const served = await serve(fleet);
  const permissions = ["clipboard-read", "clipboard-write"];
  const { page, assertClean, close } = await watch(browser, served.origin, { permissions });
  await page.goto(served.origin);
  await page.getByRole("button", { name: "Copy: accept new-1" }).click();
  await page.getByText("Copied").waitFor();
  const fingerprint = fleet.device("new-1")?.fingerprint;
  assert.equal(
    await page.evaluate(() => navigator.clipboard.readText()),
    `nix-ota devices accept new-1 --fingerprint ${fingerprint} --server ${served.origin} --token-file ./publish-token`,
  );
  await assertClean();
  await close();
  await served.stop();
});

browserTest("the overview is whole without scripts, and shows no control that would need them", async (browser) => {
  const served = await serve(busyFleet(Date.now));
  const { page, assertClean, close } = await watch(browser, served.origin, { javaScriptEnabled: false });
  await page.goto(served.origin);
  assert.equal(await page.locator("tbody tr").count(), 19);
  assert.match(await page.locator(".live").innerText(), /^As of \d\d:\d\d:\d\d UTC$/);
  assert.equal(await page.locator(".copy").isVisible(), false);
  await page.locator('.count[data-standing="failed"]').click();
  assert.equal(await page.locator("tbody tr").count(), 1);
  assert.equal(await page.locator("tbody tr").innerText().then((text) => text.includes("Rolled back")), true);
  await assertClean();
  await close();
  await served.stop();
});
