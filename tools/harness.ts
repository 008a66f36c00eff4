/**
 * The test harness: runs the tiers, installs what they need, and ends with a table and a plain closing line.
 *
 *   deno task test                 every tier
 *   deno task test unit rig        some of them
 *   deno task test --filter=NAME   passed on to deno test
 *
 * With CI=true a required tier that could not run is a failure.
 * @module
 */
import { ensurePackages } from "./packages.ts";
import { formatResults, parseClosingLine, type Tier, type TierResult, TIERS } from "./tiers.ts";

const encoder = new TextEncoder();

function say(line: string): void {
  Deno.stdout.writeSync(encoder.encode(`${line}\n`));
}

/** Why the tier cannot run, or null. */
async function obstacle(tier: Tier): Promise<string | null> {
  if (tier.variable !== null && !Deno.env.get(tier.variable)) {
    return `${tier.variable} is not set (${tier.about})`;
  }
  return await ensurePackages(tier.needs, say);
}

async function existing(paths: readonly string[]): Promise<string[]> {
  const found: string[] = [];
  for (const path of paths) {
    try {
      await Deno.stat(path);
      found.push(path);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  return found;
}

/** Shows a stream as it comes and keeps its end, where the closing line is. */
async function relay(stream: ReadableStream<Uint8Array>): Promise<string> {
  const KEPT_CHARACTERS = 64 * 1024;
  const decoder = new TextDecoder();
  let kept = "";
  for await (const chunk of stream) {
    Deno.stdout.writeSync(chunk);
    kept = (kept + decoder.decode(chunk, { stream: true })).slice(-KEPT_CHARACTERS);
  }
  return kept;
}

function testArgs(tier: Tier, flags: readonly string[], paths: readonly string[]): string[] {
  const ignore = tier.ignore.length > 0 ? [`--ignore=${tier.ignore.join(",")}`] : [];
  return ["test", "-P=test", "--quiet", ...(tier.parallel ? ["--parallel"] : []), ...ignore, ...flags, ...paths];
}

async function runTier(tier: Tier, flags: readonly string[]): Promise<TierResult> {
  const blank: TierResult = { name: tier.name, passed: 0, failed: 0, skipped: 0, seconds: 0, skippedBecause: null };
  const problem = await obstacle(tier);
  if (problem !== null) return { ...blank, skippedBecause: problem };
  const paths = await existing(tier.paths);
  if (paths.length === 0) return { ...blank, skippedBecause: `${tier.paths.join(", ")} not found` };
  say(`\n=== ${tier.name}: ${tier.about}`);
  const startedMs = performance.now();
  const child = new Deno.Command(Deno.execPath(), {
    args: testArgs(tier, flags, paths),
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const limit = setTimeout(() => child.kill("SIGKILL"), tier.limitMinutes * 60_000);
  const [output, , status] = await Promise.all([relay(child.stdout), relay(child.stderr), child.status]);
  clearTimeout(limit);
  const seconds = (performance.now() - startedMs) / 1000;
  const counts = parseClosingLine(output) ?? { passed: 0, failed: 1, skipped: 0 };
  const died = !status.success && counts.failed === 0;
  return { ...blank, ...counts, failed: died ? 1 : counts.failed, seconds };
}

async function main(args: readonly string[]): Promise<number> {
  const flags = args.filter((arg) => arg.startsWith("-"));
  const names = args.filter((arg) => !arg.startsWith("-"));
  const unknown = names.find((name) => !TIERS.some((tier) => tier.name === name));
  if (unknown !== undefined) {
    say(`There is no tier "${unknown}": wanted ${TIERS.map((tier) => tier.name).join(", ")}`);
    return 64;
  }
  const results: TierResult[] = [];
  for (const tier of TIERS) {
    if (names.length > 0 && !names.includes(tier.name)) continue;
    results.push(await runTier(tier, flags));
  }
  const missing = results.filter((one) =>
    one.skippedBecause !== null && TIERS.find((t) => t.name === one.name)?.required
  );
  for (const { name, skippedBecause } of missing) say(`\nThe tier ${name} did not run: ${skippedBecause}`);
  say(`\n${formatResults(results)}`);
  const inCi = Deno.env.get("CI") === "true";
  return results.some((one) => one.failed > 0) || (inCi && missing.length > 0) ? 1 : 0;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
