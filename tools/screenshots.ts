/**
 * Takes pictures of the dashboard, light and dark, on a phone and on a desktop:
 *
 *   deno run -P=test tools/screenshots.ts FOLDER
 * @module
 */
import { startChromium } from "@/tests/browser/chromium.ts";
import { serve } from "@/tests/browser/served.ts";
import { fakeDevice } from "@/server/web/testing/fake_device.ts";
import { busyFleet, FakeFleet } from "@/server/web/testing/fake_fleet.ts";
import type { FleetReader } from "@/server/fleet_reader.ts";
import type { Browser } from "playwright-core";
import { say } from "./say.ts";

/** One picture. */
interface Shot {
  readonly name: string;
  readonly path: string;
  readonly reader: FleetReader;
  readonly width: number;
  readonly height: number;
  /** Only what the window shows, instead of the whole page. */
  readonly isCut?: boolean;
}

function shots(): readonly Shot[] {
  const busy = busyFleet(Date.now);
  const empty = new FakeFleet({ now: Date.now });
  const rolling = busyFleet(Date.now);
  rolling.put(fakeDevice("kiosk-015", { runningRevision: 41, seenMs: Date.now(), enrolledMs: Date.now() }));
  return [
    // The two pictures in docs/images.
    { name: "dashboard", path: "/", reader: rolling, width: 1180, height: 760, isCut: true },
    { name: "fleet", path: "/", reader: busy, width: 1280, height: 900 },
    { name: "fleet-phone", path: "/", reader: busy, width: 390, height: 844 },
    { name: "fleet-4k", path: "/", reader: busy, width: 3840, height: 2160 },
    { name: "failed", path: "/?standing=failed", reader: busy, width: 1280, height: 900 },
    { name: "device", path: "/devices/kiosk-001", reader: busy, width: 1280, height: 900 },
    { name: "empty", path: "/", reader: empty, width: 1280, height: 900 },
    { name: "empty-phone", path: "/", reader: empty, width: 390, height: 844 },
    { name: "not-found", path: "/nothing", reader: empty, width: 1280, height: 600 },
  ];
}

async function take(browser: Browser, shot: Shot, folder: string): Promise<void> {
  const served = await serve(shot.reader);
  for (const colorScheme of ["light", "dark"] as const) {
    const viewport = { width: shot.width, height: shot.height };
    const page = await browser.newPage({ viewport, colorScheme, reducedMotion: "reduce" });
    await page.goto(served.origin + shot.path);
    await page.evaluate(() => document.fonts.ready.then(() => null));
    await page.waitForTimeout(400); // The stream opens and the first snapshot comes.
    await page.screenshot({ path: `${folder}/${shot.name}-${colorScheme}.png`, fullPage: !shot.isCut });
    await page.close();
  }
  await served.stop();
  say(shot.name);
}

async function main([folder, ...names]: readonly string[]): Promise<number> {
  if (folder === undefined) {
    say("Usage: deno run -P=test tools/screenshots.ts FOLDER [NAME…]");
    return 64;
  }
  await Deno.mkdir(folder, { recursive: true });
  const browser = await startChromium();
  for (const shot of shots()) {
    if (names.length === 0 || names.includes(shot.name)) await take(browser, shot, folder);
  }
  await browser.close();
  return 0;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
