/**
 * A running server: everything that is held open, in the order in which it is opened and closed.
 * @module
 */
import { type Log, REQUEST_LIMITS } from "@nix-ota/common";
import { createAccess } from "./access.ts";
import { createEventHub } from "./api/event_hub.ts";
import { createApp } from "./app.ts";
import { type Config, configuredKeys } from "./config.ts";
import { ensurePublishToken, ensureReadSecret, openDataDir } from "./data_dir.ts";
import type { App, AppDeps } from "./deps.ts";
import { IDLE_MS, listenBehindProxy, type Listener, listenGuarded } from "./listen.ts";
import { startMaintenance } from "./maintenance.ts";
import { createReadiness } from "./readiness.ts";
import { createReadModel } from "./read_model.ts";
import { openStore, type Store } from "./store/store.ts";
import { createReadTokens, parseTokenFile, type TokenHash } from "./tokens.ts";
import { createTrustKeys } from "./trust_keys.ts";
import { createWaiters } from "./waiters.ts";

/** A server that runs. */
export interface RunningServer {
  readonly listener: Listener;
  /** The file that holds the publish token, and whether it was made at this start. */
  readonly publishToken: { readonly path: string; readonly isNew: boolean };
  readonly deps: AppDeps;
  /** Stops within 5 s: nothing acknowledged is lost, waiting polls are answered. */
  stop(): Promise<void>;
}

/** What a server is started with. */
export interface StartOptions {
  readonly config: Config;
  readonly log: Log;
  /** Adds the pages; the application's own routes win. */
  readonly mountPages?: (app: App, deps: AppDeps) => void;
  /** Called once if the server cannot go on. */
  readonly onFatal: (error: Error) => void;
}

/** Requests under way get this long to end when the server stops: a supervisor kills after some more. */
const GRACE_MS = 3000;

/**
 * Starts a server.
 * @throws {Error} With one sentence, where something cannot be opened; whatever was opened is closed again.
 */
export async function startServer({ config, log, mountPages, onFatal }: StartOptions): Promise<RunningServer> {
  const dataDir = openDataDir(config.dataDir);
  let store: Store | null = null;
  let running = true;
  try {
    const publishToken = config.publishTokenFile === null
      ? ensurePublishToken(config.dataDir)
      : { path: config.publishTokenFile, isNew: false };
    const publishTokens = readTokens(publishToken.path, "the publish token file");
    warnIfOpen(publishToken.path, log);
    const { enrolTokenFile } = config;
    const enrolTokens = enrolTokenFile === null ? [] : readTokens(enrolTokenFile, "the enrolment token file");
    const dieOnce = (error: Error): void => {
      running = false;
      onFatal(error);
    };
    store = await openStore({ path: dataDir.databasePath, writer: "worker", onFatal: dieOnce });
    await store.claimFleet(config.fleet);
    const isReady = createReadiness({ probe: probeOf(store), isRunning: () => running, now: Date.now });
    const deps = createDeps({ config, log, store, publishTokens, enrolTokens, isReady });
    const hub = createEventHub({
      first: () => ({ kind: "fleet", fleet: deps.reader.fleet() }),
      subscribe: deps.reader.subscribe,
    }, Date.now().toString(36));
    const app = createApp(deps, hub);
    mountPages?.(app, deps);
    const listener = await openListener(config, app);
    const maintenance = startMaintenance(store, log);
    const opened = store;
    const stop = async (): Promise<void> => {
      running = false;
      const closed = listener.stop(GRACE_MS);
      deps.waiters.stop();
      hub.stop();
      deps.changes.stop();
      await closed;
      await maintenance.stop();
      await opened.close();
      dataDir.close();
    };
    return { listener, publishToken, deps, stop };
  } catch (error) {
    await store?.close();
    dataDir.close();
    throw error;
  }
}

function createDeps({ config, log, store, publishTokens, enrolTokens, isReady }: {
  config: Config;
  log: Log;
  store: Store;
  publishTokens: readonly TokenHash[];
  enrolTokens: readonly TokenHash[];
  isReady: AppDeps["isReady"];
}): AppDeps {
  const now = Date.now;
  const { fleet, enrolment, releaseReads, pollSeconds, behindProxy, publicUrl, dataDir } = config;
  return {
    policy: { fleet, enrolment, releaseReads, pollSeconds, publicUrl },
    store,
    ...createReadModel({ store, fleet, now }),
    waiters: createWaiters({ now }),
    access: createAccess({
      publishTokens,
      enrolTokens,
      readTokens: createReadTokens(ensureReadSecret(dataDir)),
      releaseReads,
      behindProxy,
      isAccepted: (deviceId) => store.identity(deviceId)?.status === "accepted",
      now,
    }),
    trustKeys: createTrustKeys({ configured: configuredKeys(config), pinned: store.pinnedKeys }),
    isReady,
    now,
    random: Math.random,
    log,
  };
}

function probeOf(store: Store): () => Promise<unknown> {
  return () => store.submit<"probe">({ kind: "probe", nowMs: Date.now() });
}

async function openListener(config: Config, app: App): Promise<Listener> {
  if (config.behindProxy) return listenBehindProxy(config.listen, app.fetch);
  return await listenGuarded(config.listen, app.fetch, {
    connectionsMax: config.connectionsMax,
    connectionsPerAddressMax: config.connectionsPerAddressMax,
    receiveMs: REQUEST_LIMITS.receiveMs,
    idleMs: IDLE_MS,
  });
}

/** A token that every user of the machine can read is none. Group rights are left alone: secrets are handed out so. */
function warnIfOpen(path: string, log: Log): void {
  const { mode } = Deno.statSync(path);
  const FOR_OTHERS = 0o004;
  if (((mode ?? 0) & FOR_OTHERS) !== 0) log("warn", "token_file_readable_by_all", { path });
}

/**
 * Reads a token file.
 * @throws {Error} Where it cannot be read, or holds no usable token.
 */
export function readTokens(path: string, what: string): readonly TokenHash[] {
  let text: string;
  try {
    text = Deno.readTextFileSync(path);
  } catch (cause) {
    const why = cause instanceof Deno.errors.NotFound ? "it does not exist" : "it cannot be read";
    throw new Error(`Cannot use ${what} "${path}": ${why}`, { cause });
  }
  return parseTokenFile(text, `${what} "${path}"`);
}
