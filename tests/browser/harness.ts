/**
 * Browser tests as sentences: each gets a Chromium, which all tests of a file share, and is skipped loudly without one.
 * @module
 */
import type { Browser } from "playwright-core";
import { chromiumPath, startChromium } from "./chromium.ts";

let browser: Promise<Browser> | undefined;

/**
 * Registers a test that needs Chromium. Without it the test is skipped, and the run says so; with CI=true it fails.
 * @param name A sentence.
 */
export function browserTest(name: string, fn: (browser: Browser) => Promise<void>): void {
  const isThere = chromiumPath() !== null;
  if (!isThere) Deno.stderr.writeSync(new TextEncoder().encode(`SKIPPED, Chromium is not installed: ${name}\n`));
  Deno.test({
    name,
    ignore: !isThere && Deno.env.get("CI") !== "true",
    // The browser is a process that outlives one test; it ends with the file.
    sanitizeOps: false,
    sanitizeResources: false,
    fn: async () => {
      browser ??= startChromium();
      await fn(await browser);
    },
  });
}

Deno.test.afterAll(async () => {
  await (await browser)?.close();
  browser = undefined;
});
