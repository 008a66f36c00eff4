/**
 * A Nix that the demo and the tests can use: the one on PATH when it is new enough, else Debian's current one, put
 * beside the system in a cache directory. Nothing is installed; no root is needed.
 */

import { unpackDebianPackages } from "./debian_packages.ts";
import { runCommand } from "./run_command.ts";

/** Programs to run; absolute paths. */
export type NixTools = {
  /** Directory that holds `nix`, `nix-store`, `nix-env`, `nix-build` and the others. */
  binDir: string;
  /** Such as "2.26.3". */
  version: string;
  /** A statically linked busybox: the only input of the synthetic systems. */
  busybox: string;
  /** Whether Nix was found on PATH or fetched from Debian. */
  origin: "path" | "debian";
};

/** How to look for Nix. */
export type EnsureNixOptions = {
  /** Holds one directory per suite; `${XDG_CACHE_HOME:-~/.cache}/nix-ota` unless told. */
  cacheDir?: string;
  /** Debian release to take Nix from; "trixie" unless told. */
  suite?: string;
  /** Directories to search, as in $PATH; the environment's own unless told. */
  path?: string;
  /** Told in one line what is about to be downloaded and why; silent when nothing is. */
  log?: (line: string) => void;
};

/** The oldest Nix the agent supports. */
const MINIMUM_VERSION = [2, 18] as const;
const MINIMUM_TEXT = MINIMUM_VERSION.join(".");

/** Debian's release with Nix 2.26; bookworm's 2.8 knows no `fsync-store-paths` and reports no progress. */
const SUITE = "trixie";

/** For the line that announces the download. */
const DOWNLOAD_MB = 30;

/** Nix' own dependencies are libraries; Perl, PAM and the like are only for its installer scripts. */
const KEPT_PACKAGES = /^(nix-bin|busybox-static|zlib1g|lib(?!.*perl|pam|semanage|sepol|audit|debconf).*)$/;

/** Loaded by name at run time, so that no dependency list shows them. */
const LATE_LIBRARIES = ["libnss_dns.so.2", "libnss_files.so.2", "libresolv.so.2"];

/** Debian's multiarch directory and dynamic loader by the name Deno gives an architecture. */
const PLATFORMS = {
  x86_64: { libDir: "x86_64-linux-gnu", loader: "ld-linux-x86-64.so.2" },
  aarch64: { libDir: "aarch64-linux-gnu", loader: "ld-linux-aarch64.so.1" },
} as const;

/** All of them are one program that looks at its name. */
const OTHER_NAMES = [
  "nix-build",
  "nix-collect-garbage",
  "nix-copy-closure",
  "nix-daemon",
  "nix-env",
  "nix-hash",
  "nix-instantiate",
  "nix-prefetch-url",
  "nix-store",
];

/**
 * Starts the unpacked Nix through the loader of the release it was built for; programs that Nix starts are not affected.
 * `$0` has a slash as long as the kernel found the file; else it is a link from elsewhere.
 */
const WRAPPER = `#!/bin/sh
d=\${0%/*}/../lib
[ -x "$d/ld.so" ] || d=$(dirname -- "$(readlink -f -- "$0")")/../lib
exec "$d/ld.so" --argv0 "\${0##*/}" --library-path "$d" "$d/nix.bin" "$@"
`;

/**
 * Finds or fetches Nix >= 2.18 together with a static busybox. The first call on a machine downloads; later ones only look.
 *
 * An interrupted set-up is redone, and two at once wait for each other.
 *
 * @throws {Error} In one line, with what to do, when there is none and none can be fetched.
 */
export async function ensureNix(options: EnsureNixOptions = {}): Promise<NixTools> {
  const suite = options.suite ?? SUITE;
  const dir = `${options.cacheDir ?? defaultCacheDir()}/nix-${suite}`;
  const path = options.path ?? Deno.env.get("PATH") ?? "";
  const found = await findNix(path);
  const busybox = await findStaticBusybox(path);
  if (found !== undefined && found.obstacle === undefined && busybox !== undefined) {
    return { binDir: found.binDir, version: found.version, busybox, origin: "path" };
  }
  const debian = await usable(dir) ?? await setUp(dir, suite, () => options.log?.(announcement(found, suite, dir)));
  if (found === undefined || found.obstacle !== undefined) return debian;
  return { ...debian, binDir: found.binDir, version: found.version, origin: "path" };
}

/**
 * The version in the first line of `nix --version`, such as "nix (Nix) 2.26.3".
 *
 * @returns undefined when there is none.
 */
export function parseNixVersion(text: string): string | undefined {
  return /(\d+\.\d+(?:\.\d+)?)\S*\s*$/.exec(text.split("\n")[0] ?? "")?.[1];
}

/**
 * Why a Nix on PATH does not do, as the rest of a sentence; undefined when it does.
 *
 * @param file The program itself, with all links followed.
 */
export function obstacleTo(version: string, file: string): string | undefined {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const [majorMin, minorMin] = MINIMUM_VERSION;
  const isNewEnough = major > majorMin || (major === majorMin && minor >= minorMin);
  if (!isNewEnough) return `is too old (${MINIMUM_TEXT} or newer is needed)`;
  if (file.startsWith("/nix/")) return "is itself in /nix, which every device of the tests has for itself";
  return undefined;
}

type FoundNix = { binDir: string; version: string; obstacle: string | undefined };

async function findNix(path: string): Promise<FoundNix | undefined> {
  const nix = await findProgram("nix", path);
  if (nix === undefined) return undefined;
  const version = await versionOf(nix);
  if (version === undefined) return undefined;
  const obstacle = obstacleTo(version, await Deno.realPath(nix));
  return { binDir: nix.slice(0, -"/nix".length), version, obstacle };
}

async function versionOf(nix: string): Promise<string | undefined> {
  const result = await runCommand([nix, "--version"]).catch(() => undefined);
  return result?.code === 0 ? parseNixVersion(result.stdout) : undefined;
}

async function findProgram(name: string, path: string): Promise<string | undefined> {
  for (const dir of path.split(":")) {
    if (!dir.startsWith("/")) continue;
    const file = `${dir}/${name}`;
    const info = await Deno.stat(file).catch(() => undefined);
    if (info?.isFile === true && ((info.mode ?? 0) & 0o111) !== 0) return file;
  }
  return undefined;
}

async function findStaticBusybox(path: string): Promise<string | undefined> {
  const busybox = await findProgram("busybox", path);
  if (busybox === undefined) return undefined;
  return isStaticElf(await readHead(busybox)) ? busybox : undefined;
}

/** Linkers put the program headers right behind the file header. */
const HEAD_BYTES = 4096;

async function readHead(file: string): Promise<Uint8Array> {
  using opened = await Deno.open(file);
  const head = new Uint8Array(HEAD_BYTES);
  return head.subarray(0, await opened.read(head) ?? 0);
}

/** Whether a 64-bit little-endian ELF file asks for no dynamic loader: no program header of type PT_INTERP. */
export function isStaticElf(bytes: Uint8Array): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 64 || view.getUint32(0) !== 0x7f454c46 || bytes[4] !== 2 || bytes[5] !== 1) return false;
  const tableOffset = Number(view.getBigUint64(32, true));
  const entryBytes = view.getUint16(54, true);
  const count = view.getUint16(56, true);
  for (let index = 0; index < count; index++) {
    const offset = tableOffset + index * entryBytes;
    if (offset + 4 > bytes.length || view.getUint32(offset, true) === 3) return false;
  }
  return true;
}

function defaultCacheDir(): string {
  const xdg = Deno.env.get("XDG_CACHE_HOME");
  if (xdg !== undefined && xdg.startsWith("/")) return `${xdg}/nix-ota`;
  const home = Deno.env.get("HOME");
  if (home === undefined || home === "") {
    throw new Error("Cannot choose a cache directory as neither XDG_CACHE_HOME nor HOME is set (set one of them)");
  }
  return `${home}/.cache/nix-ota`;
}

function announcement(found: FoundNix | undefined, suite: string, dir: string): string {
  const why = found === undefined
    ? "There is no Nix on PATH"
    : found.obstacle === undefined
    ? "There is no static busybox on PATH"
    : `Nix ${found.version} on PATH ${found.obstacle}`;
  return `${why}: putting Debian's current one (${suite}) into ${dir}, about ${DOWNLOAD_MB} MB from this machine's ` +
    "Debian mirror, once; nothing is installed";
}

/** What an earlier set-up left, if it works. */
async function usable(dir: string): Promise<NixTools | undefined> {
  const version = await versionOf(`${dir}/bin/nix`);
  if (version === undefined) return undefined;
  return { binDir: `${dir}/bin`, version, busybox: `${dir}/busybox`, origin: "debian" };
}

/** One set-up at a time: the others wait on the lock, which dies with its process, and then find the result. */
async function setUp(dir: string, suite: string, announce: () => void): Promise<NixTools> {
  try {
    await Deno.mkdir(dir.slice(0, dir.lastIndexOf("/")), { recursive: true });
    using lock = await Deno.open(`${dir}.lock`, { create: true, write: true });
    await lock.lock(true);
    const ready = await usable(dir);
    if (ready !== undefined) return ready;
    announce();
    await replaceWith(dir, (draft) => assemble(draft, suite));
    return await usable(dir) ?? unusable(dir);
  } catch (cause) {
    throw cannotSetUp(cause);
  }
}

/** Fills a directory beside `dir` and puts it in its place, so that a half-filled one never has the name. */
async function replaceWith(dir: string, fill: (draft: string) => Promise<void>): Promise<void> {
  const draft = `${dir}.new`;
  await removeTree(draft);
  await Deno.mkdir(draft);
  try {
    await fill(draft);
    await removeTree(dir);
    await Deno.rename(draft, dir);
  } catch (cause) {
    await removeTree(draft);
    throw cause;
  }
}

function unusable(dir: string): never {
  throw new Error(`the unpacked "${dir}/bin/nix" does not start`);
}

/** Turns Debian's packages into `bin/`, `lib/` and `busybox`, and deletes the rest. */
async function assemble(dir: string, suite: string): Promise<void> {
  const platform = PLATFORMS[Deno.build.arch as keyof typeof PLATFORMS];
  if (platform === undefined) throw new Error(`this machine is neither x86_64 nor aarch64 but ${Deno.build.arch}`);
  const work = `${dir}/work`;
  await Promise.all([Deno.mkdir(work), Deno.mkdir(`${dir}/bin`), Deno.mkdir(`${dir}/lib`)]);
  const packages = ["nix-bin", "busybox-static"];
  const root = await unpackDebianPackages({ suite, packages, keep: KEPT_PACKAGES, dir: work });
  await Deno.copyFile(`${root}/usr/bin/nix`, `${dir}/lib/nix.bin`);
  await Deno.copyFile(`${root}/usr/bin/busybox`, `${dir}/busybox`);
  await copyLibraries(root, platform, `${dir}/lib`);
  await Deno.writeTextFile(`${dir}/bin/nix`, WRAPPER, { mode: 0o755 });
  await Deno.chmod(`${dir}/bin/nix`, 0o755);
  await Promise.all(OTHER_NAMES.map((name) => Deno.symlink("nix", `${dir}/bin/${name}`)));
  await removeTree(work);
}

/** Copies the loader and what it finds for Nix, as `ldd` would list it. */
async function copyLibraries(
  root: string,
  { libDir, loader }: { libDir: string; loader: string },
  to: string,
): Promise<void> {
  const dirs = [`${root}/usr/lib/${libDir}`, `${root}/lib/${libDir}`];
  const loaderFile = `${dirs[0]}/${loader}`;
  const listed = await runCommand([loaderFile, "--library-path", dirs.join(":"), "--list", `${root}/usr/bin/nix`]);
  const missing = /(\S+) => not found/.exec(listed.stdout)?.[1];
  if (listed.code !== 0 || missing !== undefined) {
    throw new Error(`Debian's Nix finds no ${missing ?? "libraries"} among the unpacked packages`);
  }
  await Deno.copyFile(loaderFile, `${to}/ld.so`);
  for (const [, name, file] of listed.stdout.matchAll(/^\s*([^\s/]+) => (\/\S+) /gm)) {
    await Deno.copyFile(file as string, `${to}/${name}`);
  }
  for (const name of LATE_LIBRARIES) await Deno.copyFile(`${dirs[0]}/${name}`, `${to}/${name}`);
}

function cannotSetUp(cause: unknown): Error {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new Error(
    `Cannot put Nix beside the system: ${reason} (install Nix ${MINIMUM_TEXT} or newer and put it on PATH)`,
    { cause },
  );
}

async function removeTree(dir: string): Promise<void> {
  await Deno.remove(dir, { recursive: true }).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
}
