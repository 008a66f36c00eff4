/**
 * A binary cache for tests: real HTTP, generated narinfos, faults on demand.
 * @module
 */
import { formatBase64, formatRawPublicKey, generateKey, parseCacheKey, parseStorePath } from "@nix-ota/common";
import type { CacheKey, Signer } from "@nix-ota/common";
import { fingerprintOfPath } from "../narinfo.ts";
import { formatNix32, parseSha256 } from "../nix32.ts";
import type { LocalPath } from "../path_info.ts";
import { narNameOf } from "./closures.ts";

/** A key that signs paths. */
export interface CacheSigner {
  readonly name: string;
  readonly signer: Signer;
  readonly key: CacheKey;
}

/** Makes a key that signs paths. */
export async function makeCacheSigner(name: string): Promise<CacheSigner> {
  const { signer } = await generateKey();
  return { name, signer, key: parseCacheKey(`${name}:${formatRawPublicKey(signer.publicKey)}`) };
}

/** A narinfo as text; `edit` changes its lines. */
export async function narinfoText(
  path: LocalPath,
  signers: readonly CacheSigner[],
  { ca }: { ca?: string } = {},
): Promise<string> {
  const hash = parseSha256(path.narHash);
  const lines = [
    `StorePath: ${path.storePath}`,
    `URL: ${await narNameOf(path)}`,
    "Compression: zstd",
    `FileHash: sha256:${"0".repeat(52)}`,
    `FileSize: ${Math.ceil(path.narSize / 4)}`,
    `NarHash: sha256:${hash ? formatNix32(hash) : ""}`,
    `NarSize: ${path.narSize}`,
    `References: ${path.references.map((one) => one.slice("/nix/store/".length)).join(" ")}`,
    "Deriver: unknown-deriver",
  ];
  for (const { name, signer } of signers) {
    lines.push(`Sig: ${name}:${formatBase64(await signer.sign(fingerprintOfPath(path)))}`);
  }
  if (ca !== undefined) lines.push(`CA: ${ca}`);
  return `${lines.join("\n")}\n`;
}

/** A running cache. */
export interface FakeCache extends AsyncDisposable {
  readonly url: string;
  /** `METHOD /path` of every request, in order. */
  readonly requests: readonly string[];
  /** Serves these paths well. */
  add(paths: readonly LocalPath[], signers: readonly CacheSigner[]): Promise<void>;
  /** Answers otherwise; return undefined for the usual answer. */
  intercept: (request: Request, path: string) => Response | Promise<Response> | undefined;
  /** Replaces the narinfo of a path; null removes it. */
  setNarinfo(storePath: string, text: string | null): void;
  /** Removes a NAR. */
  removeNar(path: LocalPath): Promise<void>;
}

/** Starts a cache on a free port of the loopback interface. */
export function startCache(): FakeCache {
  const files = new Map<string, { text: string; size?: number }>([[
    "/nix-cache-info",
    { text: "StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 40\n" },
  ]]);
  const requests: string[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => undefined }, async (request) => {
    const { pathname } = new URL(request.url);
    requests.push(`${request.method} ${pathname}`);
    const intercepted = await cache.intercept(request, pathname);
    if (intercepted) return intercepted;
    const file = files.get(pathname);
    if (!file) return new Response("not here\n", { status: 404 });
    const size = file.size ?? new TextEncoder().encode(file.text).length;
    if (request.method === "HEAD") return new Response(null, { headers: { "content-length": String(size) } });
    return new Response(file.text);
  });
  const infoPath = (storePath: string): string => `/${parseStorePath(storePath).hash}.narinfo`;
  const cache: FakeCache = {
    url: `http://127.0.0.1:${server.addr.port}`,
    requests,
    intercept: () => undefined,
    add: async (paths, signers) => {
      for (const path of paths) {
        files.set(infoPath(path.storePath), { text: await narinfoText(path, signers) });
        files.set(`/${await narNameOf(path)}`, { text: "nar", size: Math.ceil(path.narSize / 4) });
      }
    },
    setNarinfo: (storePath, text) => {
      if (text === null) files.delete(infoPath(storePath));
      else files.set(infoPath(storePath), { text });
    },
    removeNar: async (path) => void files.delete(`/${await narNameOf(path)}`),
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
  return cache;
}
