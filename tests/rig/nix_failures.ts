/**
 * Everything that goes wrong between a device and its cache, with what real Nix says then. The rows are run by
 * rig_test.ts, and their output is what the agent's tests read (capture_nix_output.ts writes it to agent/fixtures/nix).
 */

import type { CommandResult } from "../../tools/run_command.ts";
import type { Fault, FaultRule } from "./cache_faults.ts";
import { startCacheServer } from "./cache_server.ts";
import { narinfoOf, type NixBench, pathNamed, type RealiseOptions } from "./nix_bench.ts";
import { type NixCase, NOT_OFFERED } from "./nix_case.ts";
import { COMMAND_CASES } from "./nix_commands.ts";
import { nixMessages } from "./nix_output.ts";
import { until } from "./wait.ts";

const UNSIGNED = /^warning: ignoring substitute for '\S+' from '\S+', as it's not signed by any of the keys in/m;
const GONE_FROM_CACHE = /^(error|warning): file 'nar\/\S+' does not exist in binary cache 'http/m;

/** Downloads with the cache disturbed. */
function download(
  rules: (bench: NixBench) => Promise<FaultRule[]> | FaultRule[],
  options?: RealiseOptions,
): NixCase["run"] {
  return async (bench) => {
    bench.cache.setFault(...await rules(bench));
    return await bench.realise(options);
  };
}

/** Disturbs every narinfo. */
function narinfo(fault: Fault): NixCase["run"] {
  return download(() => [{ on: "narinfo", fault }]);
}

/** Disturbs the nar of the generation's payload. */
function nar(fault: Fault, times = Infinity): NixCase["run"] {
  return download(async (bench) => [{ on: exactly(await bench.narOf(pathNamed(bench.target, "app"))), fault, times }]);
}

function status(code: number): Fault {
  return { kind: "status", status: code, body: `${code} from the cache\n` };
}

function exactly(path: string): RegExp {
  return new RegExp(`^${RegExp.escape(path)}$`);
}

const SIGNATURES: NixCase[] = [
  {
    name: "no-signature",
    what: "narinfo without Sig",
    code: 1,
    says: UNSIGNED,
    run: narinfo({ kind: "no-signature" }),
  },
  { name: "bad-signature", what: "Sig altered", code: 1, says: UNSIGNED, run: narinfo({ kind: "bad-signature" }) },
  {
    name: "wrong-nar-hash",
    what: "NarHash altered",
    code: 1,
    says: UNSIGNED,
    run: narinfo({ kind: "wrong-nar-hash" }),
  },
  {
    name: "wrong-nar-size",
    what: "NarSize altered",
    code: 1,
    says: UNSIGNED,
    run: narinfo({ kind: "wrong-nar-size" }),
  },
  {
    name: "untrusted-key",
    what: "signed by a key that the release does not name",
    code: 1,
    says: UNSIGNED,
    run: async (bench) => await bench.realise({ publicKeys: (await bench.fleet.ci.makeKey("other-1")).publicKey }),
  },
  { name: "no-keys", what: "no key is trusted", code: 1, says: UNSIGNED, run: download(() => [], { publicKeys: "" }) },
];

const BROKEN_NARS: NixCase[] = [
  {
    name: "corrupted-nar",
    what: "two bytes of the nar altered",
    code: 1,
    says: /^error: /m,
    run: nar({ kind: "corrupted" }),
  },
  {
    name: "truncated-nar",
    what: "half a nar with a matching Content-Length",
    code: 1,
    says: /^error: Failed to open archive \(Truncated zstd input\)$/m,
    run: nar({ kind: "truncated" }),
  },
  {
    name: "connection-cut",
    what: "the connection drops in the middle of the nar, every time",
    code: 1,
    says: /^error: unable to download '\S+': HTTP error 20[06] \(curl error: Transferred a partial file\)/m,
    run: nar({ kind: "cut" }),
  },
  {
    name: "connection-cut-once",
    what: "the connection drops once; Nix resumes",
    code: 0,
    says:
      /^warning: (error: )?unable to download '\S+': HTTP error 200 \(curl error: .*\); retrying from offset \d+ in \d+ ms/m,
    run: nar({ kind: "cut" }, 1),
  },
  {
    name: "stalled-body",
    what: "the nar stops coming",
    isSlow: true,
    code: 1,
    says: /^error: unable to download '\S+': .*(Operation too slow|Timeout was reached)/m,
    run: nar({ kind: "stalled-body" }),
  },
  {
    name: "stalled-header",
    what: "the nar is never answered",
    code: 1,
    says: /^error: unable to download '\S+': .*(Operation too slow|Timeout was reached)/m,
    run: nar({ kind: "stalled-header" }),
  },
];

const STATUSES: NixCase[] = [
  {
    name: "ok",
    what: "nothing",
    code: 0,
    says: /^these \d+ paths will be fetched \(\S+ [KM]iB download, \S+ [KM]iB unpacked\):$/m,
    run: (bench) => bench.realise(),
  },
  {
    name: "narinfo-404",
    what: "the cache does not have the system",
    code: 1,
    says: NOT_OFFERED,
    run: download(({ target }) => [{ on: exactly(narinfoOf(target.storePath)), fault: status(404) }]),
  },
  {
    name: "dependency-narinfo-404",
    what: "the cache has the system but not everything it needs",
    code: 1,
    says: /^error: /m,
    run: download(({ target }) => [{ on: exactly(narinfoOf(pathNamed(target, "app"))), fault: status(404) }]),
  },
  { name: "narinfo-401", what: "narinfos need a password", code: 1, says: NOT_OFFERED, run: narinfo(status(401)) },
  { name: "narinfo-403", what: "narinfos are forbidden", code: 1, says: NOT_OFFERED, run: narinfo(status(403)) },
  {
    name: "narinfo-500",
    what: "narinfos fail",
    code: 1,
    says: /^error: unable to download '\S+\.narinfo': HTTP error 500/m,
    run: narinfo(status(500)),
  },
  { name: "nar-401", what: "nars need a password", code: 1, says: GONE_FROM_CACHE, run: nar(status(401)) },
  { name: "nar-403", what: "nars are forbidden", code: 1, says: GONE_FROM_CACHE, run: nar(status(403)) },
  { name: "nar-404", what: "the nar is gone", code: 1, says: GONE_FROM_CACHE, run: nar(status(404)) },
  {
    name: "nar-500",
    what: "the nar fails every time",
    code: 1,
    says: /^error: unable to download '\S+': HTTP error 500/m,
    run: nar(status(500)),
  },
  {
    name: "nar-500-once",
    what: "the nar fails once",
    code: 0,
    says: /^warning: (error: )?unable to download '\S+': HTTP error 500[^]*; retrying in \d+ ms/m,
    run: nar(status(500), 1),
  },
  {
    name: "nar-503-once",
    what: "the cache is overloaded once",
    code: 0,
    says: /^warning: (error: )?unable to download '\S+': HTTP error 503/m,
    run: nar(status(503), 1),
  },
  {
    name: "nar-429",
    what: "too many requests, every time",
    isSlow: true, // Nix 2.34 waits more than a minute between attempts.
    code: 1,
    says: /^error: unable to download '\S+': HTTP error 429/m,
    run: nar({ kind: "status", status: 429, headers: { "retry-after": "1" } }),
  },
];

const NETWORK: NixCase[] = [
  {
    name: "unknown-host",
    what: "the cache's name does not resolve",
    code: 1,
    says: /^warning: unable to download '\S+': Could not resolve hostname/m,
    run: (bench) => bench.realise({ substituters: "http://cache.invalid" }),
  },
  {
    name: "refused-first-contact",
    what: "a cache never seen before is down",
    code: 1,
    says: /^warning: unable to download '\S+': Could not connect to server/m,
    run: (bench) => bench.realise({ substituters: "http://127.0.0.1:9" }),
  },
  {
    name: "refused",
    what: "a cache that was used before is down",
    code: 1,
    says: /^error: unable to download '\S+': Could not connect to server/m,
    run: async (bench) => {
      const { url } = bench;
      await bench.device.net("down");
      try {
        return await bench.realise({ substituters: url });
      } finally {
        await bench.device.net("up");
      }
    },
  },
  {
    name: "first-substituter-refused",
    what: "the first of two caches is down; Nix takes the second",
    code: 0,
    says: /^warning: unable to download '\S+': Could not connect to server/m,
    run: (bench) => bench.realise({ substituters: `http://127.0.0.1:9 ${bench.url}` }),
  },
  {
    name: "other-store-directory",
    what: "the cache is for stores elsewhere than /nix/store",
    code: 1,
    says: /is for Nix stores with prefix/,
    run: async (bench) => await withOtherStoreDir(bench),
  },
];

const INTERRUPTED: NixCase = {
  name: "interrupted",
  what: "SIGTERM in the middle of a download",
  code: 1,
  says: /^error: (interrupted by the user|download of '\S+' was interrupted)$/m, // Whichever notices first.
  async run(bench) {
    bench.cache.forgetRequests();
    bench.cache.setFault({ on: "nar", fault: { kind: "stalled-body" } });
    const download = await bench.device.spawn(bench.realiseArgv({ options: { "stalled-download-timeout": "60" } }));
    await until(
      "the first path of a download",
      10_000,
      () => nixMessages(download.stderr()).includes("will be fetched"),
    );
    await until("its bytes", 10_000, () => bench.cache.requests.some(({ fault }) => fault === "stalled-body"));
    await download.kill("SIGTERM");
    const { code } = await download.ended;
    return { code, stdout: download.stdout(), stderr: download.stderr() };
  },
};

/** Rows for a device whose disk is smaller than the system. */
export const FULL_DISK_CASES: readonly NixCase[] = [
  {
    name: "disk-full",
    what: "the system does not fit on the disk",
    code: 1,
    says: /^error: .*No space left on device/m,
    run: (bench) => bench.realise(),
  },
];

/** Rows that leave the device as it was, apart from the download. */
export const NIX_CASES: readonly NixCase[] = [
  ...SIGNATURES,
  ...BROKEN_NARS,
  ...STATUSES,
  ...NETWORK,
  INTERRUPTED,
  ...COMMAND_CASES,
];

/** Serves the same files as a cache for another store directory, on a port that Nix has not seen. */
async function withOtherStoreDir(bench: NixBench): Promise<CommandResult> {
  await using other = startCacheServer({ dir: bench.fleet.cacheDir });
  other.setFault({ on: "nix-cache-info", fault: { kind: "status", status: 200, body: "StoreDir: /opt/nix/store\n" } });
  return await bench.realise({ substituters: other.url });
}
