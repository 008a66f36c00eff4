/**
 * Runs the benchmarks, one after another, each in a process of its own:
 *
 *   deno task bench              all of them
 *   deno task bench wake         those whose name contains the word
 *
 * Every figure is a ratio against a yardstick of the same run, or a median of several runs; the machine may be noisy.
 * @module
 */

async function benchmarks(word: string): Promise<string[]> {
  const found: string[] = [];
  for await (const entry of Deno.readDir(new URL("./", import.meta.url))) {
    if (entry.name.endsWith("_bench.ts") && entry.name.includes(word)) found.push(entry.name);
  }
  return found.sort();
}

async function main(word: string): Promise<number> {
  const names = await benchmarks(word);
  if (names.length === 0) {
    Deno.stderr.writeSync(new TextEncoder().encode(`There is no benchmark with "${word}" in its name\n`));
    return 64;
  }
  let failures = 0;
  for (const name of names) {
    Deno.stdout.writeSync(new TextEncoder().encode(`\n=== ${name}\n`));
    const { success } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-q", "-P=test", new URL(name, import.meta.url).pathname],
      stdin: "null",
    }).spawn().status;
    if (!success) failures += 1;
  }
  return failures === 0 ? 0 : 1;
}

if (import.meta.main) Deno.exit(await main(Deno.args[0] ?? ""));
