/** Synthetic NixOS systems: what a test asks for, and what `system/system.nix` makes of it. */

/** A system as a test asks for it; whatever is left out is healthy and small. */
export type SystemSpec = {
  /** Counts from 1; everything that changes between systems follows from it. */
  generation: number;
  hostName?: string;
  /** Exit code of `switch-to-configuration switch|test`; 4 is what NixOS says when units failed. */
  switchExit?: number;
  /** How long a switch takes before anything happens; 3600 is a hang. */
  switchSleepSeconds?: number;
  /** False makes a switch that does nothing and still exits with `switchExit`. */
  becomesCurrent?: boolean;
  /** Exit code of `sw/bin/health-check`; not 0 is a sick generation. */
  healthExit?: number;
  /** How long the health check takes. */
  healthSleepSeconds?: number;
  /** Exit code of `init`; not 0 is a system that does not boot. */
  initExit?: number;
  /** Size of the one large path that all generations share; 24 MB unless told. */
  baseBytes?: number;
  /** Size of the path that only this generation has; 1 MB unless told. */
  deltaBytes?: number;
};

/** A built system in the CI machine's store. */
export type BuiltSystem = {
  generation: number;
  /** Content of the file `nixos-version`. */
  version: string;
  storePath: string;
  /** The whole closure, sorted. */
  paths: readonly string[];
  /** Uncompressed size of the whole closure in bytes. */
  narSizeBytes: number;
};

/** What system.nix reads: every field given. */
type NixSpec = Required<Omit<SystemSpec, "baseBytes" | "deltaBytes">> & {
  version: string;
  kernel: string;
  app: string;
  packages: string[];
  base: { name: string; blob: string };
  blob: string;
};

/** A file of incompressible bytes, named after what is in it. */
export type Blob = { name: string; seed: number; sizeBytes: number };

const BASE_BYTES = 24_000_000;
const DELTA_BYTES = 1_000_000;
const BASE_SEED = 1;
/** Generations have seeds of their own above the shared one. */
const GENERATION_SEED = 1000;

/** What system.nix is told about a system. */
export function nixSpec(spec: SystemSpec): NixSpec {
  const { generation } = spec;
  return {
    generation,
    hostName: spec.hostName ?? "device",
    version: `24.11.${generation}`,
    switchExit: spec.switchExit ?? 0,
    switchSleepSeconds: spec.switchSleepSeconds ?? 0,
    becomesCurrent: spec.becomesCurrent ?? true,
    healthExit: spec.healthExit ?? 0,
    healthSleepSeconds: spec.healthSleepSeconds ?? 0,
    initExit: spec.initExit ?? 0,
    kernel: `linux-6.6.${29 + generation}`,
    app: `app-1.${generation}`,
    packages: packagesOf(generation),
    base: { name: "glibc-2.40-66", blob: baseBlob(spec).name },
    blob: deltaBlob(spec).name,
  };
}

/** The blobs that the systems need, each once. */
export function blobsOf(specs: readonly SystemSpec[]): Blob[] {
  const blobs = specs.flatMap((spec) => [baseBlob(spec), deltaBlob(spec)]);
  return [...new Map(blobs.map((blob) => [blob.name, blob])).values()];
}

/**
 * Deterministic bytes that do not compress: the AES-CTR key stream of a seed.
 *
 * @param sizeBytes Any size; it is made in memory.
 */
export async function incompressible(seed: number, sizeBytes: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(16);
  new DataView(bytes.buffer).setUint32(0, seed);
  const key = await crypto.subtle.importKey("raw", bytes, "AES-CTR", false, ["encrypt"]);
  const counter = { name: "AES-CTR", counter: new Uint8Array(16), length: 64 };
  return new Uint8Array(await crypto.subtle.encrypt(counter, key, new Uint8Array(sizeBytes)));
}

/** Versions that go up, one that goes up and down, one package that comes and one that goes. */
function packagesOf(generation: number): string[] {
  const packages = [
    "bash-5.2p37",
    `openssl-3.0.${13 + generation}`,
    generation % 2 === 1 ? "curl-8.9.1" : "curl-8.9.0",
  ];
  if (generation >= 2) packages.push("htop-3.3.0");
  if (generation <= 2) packages.push("nano-8.2");
  return packages;
}

function baseBlob({ baseBytes = BASE_BYTES }: SystemSpec): Blob {
  return blobOf(BASE_SEED, baseBytes);
}

function deltaBlob({ generation, deltaBytes = DELTA_BYTES }: SystemSpec): Blob {
  return blobOf(GENERATION_SEED + generation, deltaBytes);
}

function blobOf(seed: number, sizeBytes: number): Blob {
  return { name: `blob-${seed}-${sizeBytes}`, seed, sizeBytes };
}
