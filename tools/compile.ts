/**
 * Makes the three executables in dist/bin with `deno compile`, each with its permission set of deno.json.
 *
 *   DENORT_BIN=/path/to/denort deno task compile [--target=x86_64-unknown-linux-gnu]
 *
 * `DENORT_BIN` names the base executable of the same Deno release, which is not part of the npm package.
 * @module
 */

/** One executable. */
interface Executable {
  readonly name: string;
  readonly entry: string;
  readonly permissions: string;
  /** Files embedded besides the module graph. */
  readonly include: readonly string[];
}

const EXECUTABLES: readonly Executable[] = [
  {
    name: "nix-ota-server",
    entry: "main.ts",
    permissions: "server",
    include: ["dist/assets", "dist/manifest.json", "server/store/writer_worker.ts"],
  },
  { name: "nix-ota-agent", entry: "agent/main.ts", permissions: "agent", include: [] },
  { name: "nix-ota", entry: "publisher/main.ts", permissions: "publisher", include: [] },
];

/** Where the executables go. */
export const OUTPUT_FOLDER = "dist/bin";

/** The arguments of `deno compile` for one executable. */
export function compileArgs(executable: Executable, target: string | null): string[] {
  return [
    "compile",
    "--quiet",
    "--frozen",
    "--no-prompt",
    // A code cache at a guessable place in /tmp would be code from a world-writable folder, run as root.
    "--no-code-cache",
    "--exclude-unused-npm",
    `-P=${executable.permissions}`,
    ...executable.include.flatMap((path) => ["--include", path]),
    ...(target === null ? [] : ["--target", target]),
    "--output",
    `${OUTPUT_FOLDER}/${executable.name}`,
    executable.entry,
  ];
}

/** Why nothing can be compiled, or null. */
export async function obstacleToCompile(denort: string | undefined): Promise<string | null> {
  const wanted = `the base executable "denort" of Deno ${Deno.version.deno} (set DENORT_BIN=/path/to/denort)`;
  if (!denort) return `Cannot compile as DENORT_BIN is not set: wanted ${wanted}`;
  try {
    if ((await Deno.stat(denort)).isFile) return null;
  } catch {
    // Said below, in the same words as for a folder.
  }
  return `Cannot compile as DENORT_BIN names "${denort}", which is not a file: wanted ${wanted}`;
}

async function main(args: readonly string[]): Promise<number> {
  const say = (line: string): number => Deno.stderr.writeSync(new TextEncoder().encode(`${line}\n`));
  const obstacle = await obstacleToCompile(Deno.env.get("DENORT_BIN"));
  if (obstacle !== null) {
    say(obstacle);
    return 1;
  }
  const build = await new Deno.Command(Deno.execPath(), { args: ["task", "build"], stdin: "null" }).spawn().status;
  if (!build.success) return 1;
  const target = args.find((arg) => arg.startsWith("--target="))?.slice("--target=".length) ?? null;
  await Deno.mkdir(OUTPUT_FOLDER, { recursive: true });
  for (const executable of EXECUTABLES) {
    const { success } = await new Deno.Command(Deno.execPath(), {
      args: compileArgs(executable, target),
      stdin: "null",
      stdout: "inherit",
      stderr: "inherit",
    }).spawn().status;
    if (!success) {
      say(`Cannot compile ${executable.name}: deno compile failed as shown above`);
      return 1;
    }
    const { size } = await Deno.stat(`${OUTPUT_FOLDER}/${executable.name}`);
    say(`${OUTPUT_FOLDER}/${executable.name}  ${(size / 1e6).toFixed(1)} MB`);
  }
  return 0;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
