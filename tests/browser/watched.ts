/**
 * A page that is watched for everything that a good page never does.
 * @module
 */
import assert from "node:assert/strict";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";

/** See the module. */
export interface Watched {
  readonly page: Page;
  /** Errors on the console or thrown, breaches of the policy, dialogs, requests to elsewhere; in words. */
  readonly complaints: readonly string[];
  /** Fails where there was any complaint. */
  assertClean(): Promise<void>;
  close(): Promise<void>;
}

/** Opens a page in a context of its own. Only requests to `origin` are allowed. */
export async function watch(
  browser: Browser,
  origin: string,
  options: BrowserContextOptions = {},
): Promise<Watched> {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) complaints.push(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => complaints.push(`thrown: ${error.message}`));
  page.on("dialog", (dialog) => {
    complaints.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on("request", (request) => {
    if (!request.url().startsWith(`${origin}/`)) complaints.push(`request: ${request.url().slice(0, 200)}`);
  });
  await page.exposeFunction("tellBreach", (text: string) => complaints.push(`policy: ${text}`));
  await page.addInitScript(() => {
    addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI, sample }) => {
      const { tellBreach } = globalThis as unknown as { tellBreach(text: string): void }; // Exposed above.
      tellBreach(`${violatedDirective} ${blockedURI} ${sample}`);
    });
  });
  return {
    page,
    complaints,
    assertClean: async () => {
      await page.evaluate(() => null); // What happened before has been told now.
      assert.deepEqual(complaints, []);
    },
    close: () => context.close(),
  };
}

/** Waits until the page says that it is in this state. */
export async function untilLive(page: Page, state: "live" | "reconnecting" | "stale"): Promise<void> {
  await page.waitForSelector(`.live[data-live="${state}"]`, { timeout: 20_000 });
}
