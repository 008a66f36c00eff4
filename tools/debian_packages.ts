/**
 * Unpacks Debian packages of any suite beside the system: a private apt state over the machine's own mirror, nothing
 * installed, no root needed. apt verifies signatures and hashes as always.
 */

import { type AptSource, debianMirror, type Mirror, parseAptSources } from "./apt_sources.ts";
import { type CommandResult, lastWords, runCommand } from "./run_command.ts";

/** What to unpack and where. */
export type UnpackOptions = {
  /** Debian's name of the release, such as "trixie". */
  suite: string;
  packages: readonly string[];
  /** Of everything the packages depend on, the names worth downloading. */
  keep: RegExp;
  /** An existing, empty directory; the files land in `root/` below it. */
  dir: string;
};

/** Where Debian's archive keys are when the machine's sources name none. */
const DEBIAN_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";

/** A mirror that says nothing for this long is down. */
const APT_NETWORK_OPTIONS = [
  "-o=Acquire::http::Timeout=20",
  "-o=Acquire::https::Timeout=20",
  "-o=Acquire::Retries=2",
  "-o=APT::Update::Error-Mode=any",
  "-qq",
];

/**
 * Downloads packages with their dependencies and unpacks them.
 *
 * @returns The directory that now holds `usr/`, `lib/` and so on.
 * @throws {Error} Without apt, without a Debian mirror in the machine's sources, or when the mirror cannot serve them.
 */
export async function unpackDebianPackages(options: UnpackOptions): Promise<string> {
  if (!await exists("/usr/bin/apt-get")) throw new Error("there is no apt-get, so this is no Debian");
  const mirror = debianMirror(await readAptSources());
  if (mirror === undefined) {
    throw new Error('apt\'s sources on this machine name no Debian mirror (an entry with a Debian suite and "main")');
  }
  const apt = await privateApt(options, mirror);
  await apt(["update"]);
  const plan = await apt(["install", "--yes", "--no-install-recommends", "--print-uris", ...options.packages]);
  const names = packageNames(plan.stdout).filter((name) => options.keep.test(name));
  const archives = `${options.dir}/archives`;
  await apt(["download", ...names], archives);
  const root = `${options.dir}/root`;
  for await (const { name } of Deno.readDir(archives)) {
    if (!name.endsWith(".deb")) continue;
    const unpacked = await runCommand(["dpkg-deb", "--extract", `${archives}/${name}`, root]);
    if (unpacked.code !== 0) throw new Error(`dpkg-deb cannot unpack "${name}": ${unpacked.stderr.split("\n")[0]}`);
  }
  return root;
}

/** Names in the output of `apt-get install --print-uris`: lines of `'URI' FILE SIZE HASH`. */
export function packageNames(printedUris: string): string[] {
  return [...printedUris.matchAll(/^'[^']*' ([^_\s]+)_\S+\.deb /gm)].map((match) => match[1] ?? "");
}

/** Why apt-get failed: the first thing that it could not fetch, else its last words. */
export function aptReason(result: Pick<CommandResult, "stdout" | "stderr">): string {
  return /^[EW]: (Failed to fetch .+)$/m.exec(result.stderr)?.[1] ?? lastWords(result);
}

type Apt = (args: readonly string[], cwd?: string) => Promise<CommandResult>;

/** An `apt-get` that reads the machine's apt.conf (proxies, certificates) and keeps all of its state in `dir`. */
async function privateApt({ suite, dir }: UnpackOptions, mirror: Mirror): Promise<Apt> {
  await Promise.all(
    ["lists/partial", "archives/partial", "sources", "root"].map((name) =>
      Deno.mkdir(`${dir}/${name}`, { recursive: true })
    ),
  );
  await Deno.writeTextFile(`${dir}/status`, "");
  await Deno.writeTextFile(`${dir}/sources/mirror.sources`, sourcesEntry(suite, await withKeys(mirror)));
  await Deno.writeTextFile(`${dir}/apt.conf`, aptConf(dir));
  return async (args, cwd = dir) => {
    const argv = ["apt-get", "-c", `${dir}/apt.conf`, ...APT_NETWORK_OPTIONS, ...args];
    const result = await runCommand(argv, { cwd, env: { LC_ALL: "C" } });
    if (result.code === 0) return result;
    throw new Error(`apt-get ${args[0]} failed with suite ${suite} of ${mirror.uri}: ${aptReason(result)}`);
  };
}

/** The hooks are cleared because they belong to the system's own package state, which this apt never touches. */
function aptConf(dir: string): string {
  return `#clear APT::Update;
#clear DPkg::Pre-Install-Pkgs;
Dir::State "${dir}";
Dir::State::status "${dir}/status";
Dir::State::lists "${dir}/lists";
Dir::Cache "${dir}";
Dir::Cache::archives "${dir}/archives";
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "${dir}/sources";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
APT::Sandbox::User "root";
Acquire::Languages "none";
`;
}

function sourcesEntry(suite: string, { uri, signedBy }: Mirror): string {
  const head = `Types: deb\nURIs: ${uri}\nSuites: ${suite}\nComponents: main\n`;
  if (signedBy === undefined) return head;
  return `${head}Signed-By:${signedBy.includes("\n") ? "\n " : " "}${signedBy}\n`;
}

/** Without a key ring of its own an entry is checked against apt's trusted keys, as on the system itself. */
async function withKeys(mirror: Mirror): Promise<Mirror> {
  if (mirror.signedBy !== undefined) return mirror;
  return await exists(DEBIAN_KEYRING) ? { ...mirror, signedBy: DEBIAN_KEYRING } : mirror;
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

async function readAptSources(): Promise<AptSource[]> {
  const files = ["/etc/apt/sources.list"];
  try {
    for await (const { name } of Deno.readDir("/etc/apt/sources.list.d")) {
      if (/\.(list|sources)$/.test(name)) files.push(`/etc/apt/sources.list.d/${name}`);
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  const texts = await Promise.all(files.map((file) => Deno.readTextFile(file).catch(() => "")));
  return files.flatMap((file, index) => parseAptSources(file, texts[index] ?? ""));
}
