/**
 * Debian's Chromium, driven by playwright-core.
 * @module
 */
import { type Browser, chromium } from "playwright-core";

const PATHS = ["/usr/bin/chromium", "/usr/bin/chromium-browser"] as const;

/** Nothing that asks the network for anything by itself. */
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--font-render-hinting=none",
];

/** Where Chromium is, or null. */
export function chromiumPath(): string | null {
  return PATHS.find((path) => {
    try {
      return Deno.statSync(path).isFile;
    } catch {
      return false;
    }
  }) ?? null;
}

/**
 * Starts Chromium without a window.
 * @throws {Error} Where it is not installed.
 */
export async function startChromium(): Promise<Browser> {
  const executablePath = chromiumPath();
  if (executablePath === null) {
    throw new Error(`Cannot start Chromium: none of ${PATHS.join(", ")} (install with: apt-get install chromium)`);
  }
  return await chromium.launch({ executablePath, args: FLAGS });
}
