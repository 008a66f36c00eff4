import { busyFleet, FakeFleet } from "@/server/web/testing/fake_fleet.ts";
import type { FleetReader } from "@/server/fleet_reader.ts";
import axe from "axe-core";
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { browserTest } from "./harness.ts";
import { serve } from "./served.ts";
import { untilLive, watch } from "./watched.ts";

const WIDTHS = [390, 1280] as const;
const SCHEMES = ["light", "dark"] as const;

function pages(): readonly { path: string; reader: FleetReader; live: boolean }[] {
  const busy = busyFleet(Date.now);
  return [
    { path: "/", reader: busy, live: true },
    { path: "/?standing=failed", reader: busy, live: true },
    { path: "/", reader: new FakeFleet({ now: Date.now }), live: true },
    { path: "/devices/kiosk-006", reader: busy, live: true },
    { path: "/devices/kiosk-015", reader: busy, live: true },
    { path: "/nothing", reader: busy, live: false },
  ];
}

browserTest("axe finds nothing on any page, light and dark, on a phone and on a desktop", async (browser) => {
  for (const { path, reader, live } of pages()) {
    const served = await serve(reader);
    // Only axe needs the policy out of its way: it is no part of the page.
    const { page, close } = await watch(browser, served.origin, { bypassCSP: true, reducedMotion: "reduce" });
    await page.goto(served.origin + path);
    if (live) await untilLive(page, "live");
    await page.addScriptTag({ content: axe.source });
    for (const width of WIDTHS) {
      for (const colorScheme of SCHEMES) {
        await page.setViewportSize({ width, height: 900 });
        await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
        assert.deepEqual(await violations(page), [], `${path} ${width} ${colorScheme}`);
      }
    }
    await close();
    await served.stop();
  }
});

browserTest("axe finds nothing on a page whose server is gone", async (browser) => {
  const served = await serve(busyFleet(Date.now));
  const { page, close } = await watch(browser, served.origin, { bypassCSP: true, reducedMotion: "reduce" });
  await page.goto(served.origin);
  await untilLive(page, "live");
  await served.stop();
  await untilLive(page, "stale");
  await page.addScriptTag({ content: axe.source });
  for (const colorScheme of SCHEMES) {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    assert.deepEqual(await violations(page), [], colorScheme);
  }
  await close();
});

/** What axe finds, once the page holds it. */
async function violations(page: Page): Promise<readonly string[]> {
  return await page.evaluate(async () => {
    const { axe } = globalThis as unknown as { axe: { run(): Promise<{ violations: Violation[] }> } };
    const { violations } = await axe.run();
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 160)).join(" | ")}`);
  });
}

interface Violation {
  readonly id: string;
  readonly nodes: readonly { readonly html: string }[];
}

browserTest("no page is wider than its window, from a small phone to 4K", async (browser) => {
  for (const { path, reader } of pages()) {
    const served = await serve(reader);
    const { page, close } = await watch(browser, served.origin);
    await page.goto(served.origin + path);
    for (const width of [320, 390, 768, 1120, 1280, 3840]) {
      await page.setViewportSize({ width, height: 900 });
      const scrollWidth = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(scrollWidth <= width, `${path} is ${scrollWidth} wide at ${width}`);
    }
    await close();
    await served.stop();
  }
});

browserTest("nothing jumps while the page comes to life and while devices download", async (browser) => {
  for (const width of WIDTHS) {
    const fleet = busyFleet(Date.now);
    fleet.mishaps = false; // A failure takes the room that its reason needs.
    const served = await serve(fleet);
    const { page, close } = await watch(browser, served.origin, { viewport: { width, height: 900 } });
    await page.addInitScript(() => {
      const shifts: number[] = [];
      Object.assign(globalThis, { shifts });
      new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) shifts.push((entry as PerformanceEntry & { value: number }).value);
      }).observe({ type: "layout-shift", buffered: true });
    });
    await page.goto(served.origin);
    await untilLive(page, "live");
    const shifts = await page.evaluate(() => (globalThis as unknown as { shifts: number[] }).shifts);
    assert.ok(shifts.reduce((sum, shift) => sum + shift, 0) < 0.01, `${shifts} at ${width}`);

    const tops = (): Promise<number[]> =>
      page.locator(".count, .channel, .devices, tbody tr").evaluateAll((all) =>
        all.map((one) => one.getBoundingClientRect().top)
      );
    const before = await tops();
    const waiting = fleet.fleet().devices.waiting;
    for (let at = 0; at < 6; at++) fleet.step();
    assert.ok(fleet.fleet().devices.waiting < waiting, "nothing began");
    await page.locator(`.count[data-standing="waiting"]`, { hasText: `${fleet.fleet().devices.waiting}` }).waitFor();
    assert.deepEqual(await tops(), before, `at ${width}`);
    await close();
    await served.stop();
  }
});

browserTest("the first Tab shows a way past the bar, and every focused control is marked", async (browser) => {
  const served = await serve(busyFleet(Date.now));
  const { page, close } = await watch(browser, served.origin, { viewport: { width: 1280, height: 900 } });
  await page.goto(served.origin);
  await untilLive(page, "live");
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement?.textContent), "Skip to content");
  assert.ok((await page.locator(".skip").boundingBox())?.y ?? -1 >= 0);
  for (let at = 0; at < 12; at++) {
    await page.keyboard.press("Tab");
    const outline = await page.evaluate(() => {
      const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement ?? document.body);
      return `${outlineStyle} ${outlineWidth}`;
    });
    assert.equal(outline, "solid 2px");
  }
  await close();
  await served.stop();
});

browserTest("the overview costs at most 30 kB of scripts and 110 kB in all", async (browser) => {
  const served = await serve(busyFleet(Date.now));
  const { page, close } = await watch(browser, served.origin);
  const sizes: { url: string; bytes: number }[] = [];
  page.on("requestfinished", async (request) => {
    const { responseBodySize } = await request.sizes();
    sizes.push({ url: request.url(), bytes: responseBodySize });
  });
  await page.goto(served.origin, { waitUntil: "load" });
  await page.waitForTimeout(200);
  const sum = (pattern: RegExp): number =>
    sizes.filter(({ url }) => pattern.test(url)).reduce((total, { bytes }) => total + bytes, 0);
  const [scripts, page_] = [sum(/\.js$/), sum(/\/$|\/assets\//)];
  assert.ok(scripts > 0 && scripts <= 30 * 1024, `${scripts} bytes of scripts`);
  assert.ok(page_ <= 110 * 1024, `${page_} bytes in all: ${JSON.stringify(sizes)}`);
  await close();
  await served.stop();
});
