/**
 * The tiers of the test harness: what each runs, what it needs, and how its result is read.
 * @module
 */
import type { Need } from "./packages.ts";

/** One group of tests that needs the same things. */
export interface Tier {
  readonly name: string;
  /** What a reader should know when the tier is skipped. */
  readonly about: string;
  /** Folders or files, from the root of the repository. */
  readonly paths: readonly string[];
  /** Below those paths, what other tiers run. */
  readonly ignore: readonly string[];
  readonly parallel: boolean;
  readonly needs: readonly Need[];
  /** Environment variable that must be set for the tier to run, or null. */
  readonly variable: string | null;
  /** Whether CI fails when the tier was skipped. */
  readonly required: boolean;
  readonly limitMinutes: number;
}

/** Tests that start the programs again and again: too slow for the gate before every commit. */
const PROGRAM_TESTS: readonly string[] = ["publisher/commands", "server/cli_test.ts"];

/** Every tier, cheapest first. */
export const TIERS: readonly Tier[] = [
  {
    name: "unit",
    about: "functions, documents, state machines, crash matrix, wire protocol",
    paths: ["common", "agent", "server", "publisher", "islands", "routes", "tools", "demo", "tests/house"],
    ignore: PROGRAM_TESTS,
    parallel: true,
    needs: [],
    variable: null,
    required: true,
    limitMinutes: 10,
  },
  {
    name: "programs",
    about: "the programs as processes: every option, file and answer that is wrong",
    paths: PROGRAM_TESTS,
    ignore: [],
    parallel: true,
    needs: [],
    variable: null,
    required: true,
    limitMinutes: 6,
  },
  {
    name: "browser",
    about: "the dashboard in a real Chromium",
    paths: ["tests/browser"],
    ignore: [],
    parallel: false,
    needs: [{ program: "chromium", package: "chromium" }],
    variable: null,
    required: true,
    limitMinutes: 6,
  },
  {
    name: "rig",
    about: "real Nix on namespace devices with a faulty binary cache",
    paths: ["tests/rig", "tests/e2e"],
    ignore: [],
    parallel: false,
    needs: [],
    variable: null,
    required: true,
    limitMinutes: 15,
  },
  {
    name: "compiled",
    about: "the three executables that deno compile makes",
    paths: ["tests/compiled"],
    ignore: [],
    parallel: false,
    needs: [],
    variable: "DENORT_BIN",
    required: false,
    limitMinutes: 5,
  },
];

/** What a tier's run came to. */
export interface TierResult {
  readonly name: string;
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  readonly seconds: number;
  /** Why the tier did not run, or null. */
  readonly skippedBecause: string | null;
}

/**
 * Reads the closing line of `deno test`, such as `ok | 4 passed (12 steps) | 0 failed | 1 ignored (3s)`.
 * @returns Null where there is none: the run died.
 */
export function parseClosingLine(output: string): { passed: number; failed: number; skipped: number } | null {
  const line = output.split("\n").findLast((one) => /^(?:ok|FAILED) \| /.test(one));
  if (line === undefined) return null;
  const count = (word: string): number => Number(new RegExp(`(\\d+) ${word}`).exec(line)?.[1] ?? 0);
  return { passed: count("passed"), failed: count("failed"), skipped: count("ignored") };
}

/** The table that ends a run, and the plain line `N passed, N failed` that CI reads. */
export function formatResults(results: readonly TierResult[]): string {
  const rows = results.map((one) => {
    const counts = `${one.passed} passed, ${one.failed} failed, ${one.skipped} skipped`;
    const text = one.skippedBecause === null
      ? `${counts}  (${one.seconds.toFixed(0)} s)`
      : `SKIPPED: ${one.skippedBecause}`;
    return `  ${one.name.padEnd(10)} ${text}`;
  });
  const sum = (pick: (one: TierResult) => number): number => results.reduce((total, one) => total + pick(one), 0);
  const skipped = sum((one) => one.skipped + (one.skippedBecause === null ? 0 : 1));
  const closing = `${sum((one) => one.passed)} passed, ${sum((one) => one.failed)} failed`;
  return [...rows, "", skipped > 0 ? `${closing}, ${skipped} skipped` : closing].join("\n");
}
