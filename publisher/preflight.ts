/**
 * The cache check as a step of `publish`: what it shows, and when it ends the command.
 * @module
 */
import { type CacheKey, parseStorePath } from "@nix-ota/common";
import { type CacheProblem, checkCaches, type Preflight, signingKeyNames } from "./cache.ts";
import { type Cache, checkCacheInfo, openCache } from "./cache_client.ts";
import { checkInterrupted, type Context } from "./context.ts";
import { isLoopback } from "./connection.ts";
import { CliError, EXIT, usageError } from "./errors.ts";
import type { LocalPath } from "./path_info.ts";
import type { PlannedTarget } from "./release_plan.ts";

/** Most problems that are listed; the rest is counted. */
const LISTED_MAX = 10;

/**
 * Checks that devices can fetch every path of every target.
 * @throws {CliError} With exit code 3 where they cannot, 2 where no key was given.
 */
export async function runPreflight(
  context: Context,
  { targets, caches, keys }: {
    targets: readonly PlannedTarget[];
    caches: readonly string[];
    keys: readonly CacheKey[];
  },
): Promise<Preflight> {
  const { ui, signal, random, now } = context;
  const opened = caches.map((href) => openCache(href, { signal, random, nowMs: now }));
  for (const cache of opened) await checkCache(cache, context);
  if (keys.length === 0) throw await missingKey(targets, opened);
  const paths = distinctPaths(targets);
  const line = ui.progress();
  const onPath = (done: number, storePath: string): void =>
    line.update({ label: "cache", done, total: paths.length, detail: parseStorePath(storePath).name });
  const preflight = await checkCaches({ paths, caches: opened, keys, signal, onPath }).finally(line.end);
  if (preflight.problems.length > 0) throw incomplete(preflight.problems, { targets, caches, total: paths.length });
  showResult(context, preflight, { caches, total: paths.length });
  return preflight;
}

/** Every path of all targets, once. */
export function distinctPaths(targets: readonly PlannedTarget[]): readonly LocalPath[] {
  const all = targets.flatMap(({ closure }) => closure.paths);
  return [...new Map(all.map((path) => [path.storePath, path])).values()];
}

async function checkCache(cache: Cache, context: Context): Promise<void> {
  const problem = await checkCacheInfo(cache);
  checkInterrupted(context, "checking the binary cache: nothing was sent");
  if (problem !== null) {
    throw new CliError(EXIT.refused, `Cannot use the substituter ${cache.href}: ${problem} (check --substituter)`, {
      code: "cache_incomplete",
    });
  }
  const { protocol, hostname } = new URL(cache.href);
  if (protocol === "https:" || isLoopback(hostname)) return;
  context.ui.step("warn", "cache", `${cache.href} is not https: only devices with allowHttp fetch from it`);
}

async function missingKey(targets: readonly PlannedTarget[], caches: readonly Cache[]): Promise<CliError> {
  const [first] = targets;
  const names = first === undefined ? [] : await signingKeyNames(first.closure.storePath, caches);
  const seen = names.length === 0
    ? "the system is not signed in the cache yet: sign it, and add --substituter-key <name:base64>"
    : `the cache signs with ${names.join(", ")} (add ${
      names.map((name) => `--substituter-key ${name}:<base64>`).join(" ")
    })`;
  return usageError(`--substituter-key is missing: ${seen}`);
}

function showResult(
  { ui }: Context,
  { found, warnings }: Preflight,
  at: { caches: readonly string[]; total: number },
): void {
  const names = [...new Set([...found.values()].flatMap(({ keyName }) => keyName ?? []))].sort();
  const addressed = [...found.values()].filter(({ keyName }) => keyName === null).length;
  const signed = names.length === 0 ? "none signed" : `signed by ${names.join(" and ")}`;
  const proven = addressed === 0 ? "" : `, ${addressed} content-addressed without need of a signature`;
  ui.step("ok", "cache", `all ${at.total} paths in ${at.caches.join(" and ")}, ${signed}${proven}`);
  if (warnings.length === 0) return;
  ui.step(
    "warn",
    "cache",
    `${warnings.length} paths are good in one cache but not in another, which costs devices time`,
  );
  for (const line of listProblems(warnings.slice(0, 3), at.caches)) ui.detail(line);
}

function listProblems(problems: readonly CacheProblem[], caches: readonly string[]): readonly string[] {
  return problems.map(({ storePath, reason, cache }) =>
    `${storePath}: ${reason}${caches.length > 1 ? ` in ${cache}` : ""}`
  );
}

/** The refusal, with the first paths and what to do about each kind of problem. */
export function incomplete(
  problems: readonly CacheProblem[],
  { targets, caches, total }: { targets: readonly PlannedTarget[]; caches: readonly string[]; total: number },
): CliError {
  const count = new Set(problems.map(({ storePath }) => storePath)).size;
  const more = problems.length - LISTED_MAX;
  const systems = targets.map(({ closure }) => closure.storePath).join(" ");
  const kinds = new Set(problems.map(({ kind }) => kind));
  return new CliError(
    EXIT.refused,
    `Cannot publish as devices could not fetch ${count} of ${total} paths from ${caches.join(" and ")} ` +
      "(nothing was signed or sent)",
    {
      code: "cache_incomplete",
      details: [
        ...listProblems(problems.slice(0, LISTED_MAX), caches),
        ...(more > 0 ? [`and ${more} more`] : []),
        ...adviceFor(kinds, { systems, cache: caches[0] ?? "" }),
      ],
    },
  );
}

function adviceFor(
  kinds: ReadonlySet<CacheProblem["kind"]>,
  at: { systems: string; cache: string },
): readonly string[] {
  const advice: string[] = [];
  if (kinds.has("missing")) {
    advice.push(`To do: copy the whole closure to the cache, nix copy --to <cache's store URL> ${at.systems}`);
  }
  if (kinds.has("unsigned") || kinds.has("untrusted")) {
    advice.push(
      `To do: sign the paths in the cache, nix store sign -r --store <cache's store URL> --key-file <secret key> ` +
        `${at.systems}, or name their key with --substituter-key`,
    );
  }
  if (kinds.has("differs")) {
    advice.push(
      "To do: publish from the store that filled the cache; the store here has another build of the same path " +
        `(nix store delete it and nix copy --from ${at.cache} brings the cache's one)`,
    );
  }
  if (kinds.has("damaged") || kinds.has("unanswered")) {
    advice.push("To do: look at the cache's own log, repair it, and publish again");
  }
  return advice;
}
