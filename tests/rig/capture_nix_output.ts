/**
 * Runs every row of nix_failures.ts on real Nix and writes what it said to agent/fixtures, byte for byte:
 *
 *   deno run -P=test tests/rig/capture_nix_output.ts         # the Nix of the tests, to fixtures/nix
 *   deno run -P=test tests/rig/capture_nix_output.ts forky   # the Nix of that Debian release, to fixtures/nix-VERSION
 */

import { ensureNix } from "../../tools/nix_tools.ts";
import { createNixBench, type NixBench } from "./nix_bench.ts";
import { type NixCase, runNixCase } from "./nix_case.ts";
import { FULL_DISK_CASES, NIX_CASES } from "./nix_failures.ts";
import { nixMessages, thinned } from "./nix_output.ts";

const FIXTURES = new URL("../../agent/fixtures/", import.meta.url);

/** Small, so that little of a fixture is progress. */
const SMALL = { baseBytes: 100_000, deltaBytes: 40_000 };

/** A real download, for the progress display. */
const LARGE = { baseBytes: 24_000_000, deltaBytes: 1_000_000 };

/** Room for Nix' database with its reserve of 8 MB, not for the system. */
const SMALL_DISK_BYTES = 20_000_000;

/** A fixture that is larger is thinned: what is special about it is not its progress. */
const THINNED_ABOVE_CHARS = 60_000;

type Captured = { row: NixCase; stderr: string; code: number };

function say(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

async function capture(bench: NixBench, rows: readonly NixCase[], to: URL): Promise<Captured[]> {
  const captured: Captured[] = [];
  for (const row of rows) {
    const { code, stderr } = await runNixCase(bench, row);
    if (code !== row.code || !row.says.test(nixMessages(stderr))) {
      throw new Error(`Cannot capture "${row.name}": Nix ended with ${code} and said: ${nixMessages(stderr)}`);
    }
    const text = stderr.length > THINNED_ABOVE_CHARS ? thinned(stderr) : stderr;
    await Deno.writeTextFile(new URL(`${row.name}.txt`, to), text);
    say(`${row.name}: ${text.length} bytes`);
    captured.push({ row, stderr, code });
  }
  return captured;
}

function readme(version: string, captured: readonly Captured[]): string {
  const rows = captured.map(({ row, code }) => `| \`${row.name}.txt\` | ${row.what} | ${code} |`);
  return [
    `# What Nix ${version} says`,
    "",
    "Standard error of real commands, byte for byte, written by `tests/rig/capture_nix_output.ts`. Downloads are",
    "`nix-store --realise ... --log-format internal-json -v`. In `progress.txt`, a download of 27 MB, and in `disk-full.txt`",
    "only the first and every hundredth progress line of an activity is left.",
    "",
    "| file | what is wrong | exit code |",
    "| --- | --- | --- |",
    ...rows,
    "",
  ].join("\n");
}

async function main([suite]: readonly string[]): Promise<void> {
  const tools = suite === undefined ? await ensureNix({ log: say }) : await ensureNix({ suite, path: "", log: say });
  const release = tools.version.split(".").slice(0, 2).join(".");
  const to = new URL(suite === undefined ? "nix/" : `nix-${release}/`, FIXTURES);
  await Deno.mkdir(to, { recursive: true });
  const captured: Captured[] = [];
  {
    await using bench = await createNixBench({ tools, ...SMALL });
    await bench.prepareUpdate();
    captured.push(...await capture(bench, NIX_CASES, to));
  }
  {
    await using bench = await createNixBench({ tools, ...LARGE, storeBytes: SMALL_DISK_BYTES });
    captured.push(...await capture(bench, FULL_DISK_CASES, to));
  }
  {
    await using bench = await createNixBench({ tools, ...LARGE });
    const { stderr } = await bench.realise();
    await Deno.writeTextFile(new URL("progress.txt", to), thinned(stderr));
  }
  await Deno.writeTextFile(new URL("README.md", to), readme(tools.version, captured));
}

if (import.meta.main) await main(Deno.args);
