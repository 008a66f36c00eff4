/**
 * A server without sockets for tests: the real routes over a real database in a folder of its own.
 * @module
 */
import {
  type Envelope,
  ENVELOPE_CONTENT_TYPE,
  formatEnvelope,
  formatRelease,
  type KeyPolicy,
  PROBLEM_CONTENT_TYPE,
  type Release,
  signEnvelope,
  type Signer,
} from "@nix-ota/common";
import { TEST_NOW_MS, testRelease, testSigner } from "@/common/testing/documents.ts";
import { createAccess } from "../access.ts";
import { createEventHub } from "../api/event_hub.ts";
import { createApp } from "../app.ts";
import type { App, AppDeps, Policy } from "../deps.ts";
import { createReadModel } from "../read_model.ts";
import { openReadOnly } from "../store/database.ts";
import { openStore, type Store } from "../store/store.ts";
import { createReadTokens, hashToken } from "../tokens.ts";
import { createTrustKeys } from "../trust_keys.ts";
import { createWaiters } from "../waiters.ts";

/** The publish token of every test server. */
export const PUBLISH_TOKEN = "publish-token-of-the-tests";
/** The enrolment token of every test server. */
export const ENROL_TOKEN = "enrolment-token-of-the-tests";
/** What a publisher sends along. */
export const PUBLISHER = { authorization: `Bearer ${PUBLISH_TOKEN}` } as const;

/** How a test server differs from the usual one. */
export interface TestServerOptions extends Partial<Policy> {
  /** Keys in the configuration; null pins those of the first publish. By default that of {@link releaseSigner}. */
  readonly keys?: KeyPolicy | null;
  readonly behindProxy?: boolean;
}

/** A test server. */
export interface TestServer {
  readonly app: App;
  readonly deps: AppDeps;
  readonly store: Store;
  /** Time of the server, milliseconds; a test may move it. */
  readonly clock: { nowMs: number };
  /** Events of the log, in order. */
  readonly logged: string[];
  /** Sends a request as from this machine, or from the address given. */
  request(path: string, init?: RequestInit, clientAddress?: string): Promise<Response>;
  /** Posts an envelope. */
  post(path: string, envelope: Envelope | string, headers?: Record<string, string>): Promise<Response>;
  /** Signs and publishes a release; the answer must be 201. @returns The digest. */
  publish(change?: Partial<Release>): Promise<string>;
  /** Rows of the database itself. */
  rows(sql: string): readonly Record<string, unknown>[];
  close(): Promise<void>;
}

/** Whoever signs releases in tests. */
export function releaseSigner(): Promise<Signer> {
  return testSigner(1, "release");
}

/** Opens a test server at {@link TEST_NOW_MS}. */
export async function openTestServer(options: TestServerOptions = {}): Promise<TestServer> {
  const folder = await Deno.makeTempDir({ prefix: "nix-ota-server-" });
  const store = await openStore({ path: `${folder}/test.sqlite`, writer: "here" });
  const clock = { nowMs: TEST_NOW_MS };
  const logged: string[] = [];
  const signer = await releaseSigner();
  const deps = createTestDeps({ options, store, clock, logged, signer });
  const hub = createEventHub({
    first: () => ({ kind: "fleet", fleet: deps.reader.fleet() }),
    subscribe: deps.reader.subscribe,
  }, "test");
  const app = createApp(deps, hub);

  async function request(path: string, init: RequestInit = {}, clientAddress = "127.0.0.1"): Promise<Response> {
    return await app.request(`http://localhost${path}`, init, { clientAddress });
  }

  function post(path: string, envelope: Envelope | string, headers = {}): Promise<Response> {
    const body = typeof envelope === "string" ? envelope : formatEnvelope(envelope);
    return request(path, { method: "POST", body, headers: { "content-type": ENVELOPE_CONTENT_TYPE, ...headers } });
  }

  async function publish(change: Partial<Release> = {}): Promise<string> {
    const release = testRelease(change);
    const envelope = await signEnvelope("release", formatRelease(release), [signer]);
    const response = await post(`/channels/${release.channel}/publish`, envelope, PUBLISHER);
    if (response.status !== 201) throw new Error(`Cannot publish: ${await response.text()}`);
    return (await response.json()).digest;
  }

  function rows(sql: string): readonly Record<string, unknown>[] {
    const db = openReadOnly(`${folder}/test.sqlite`);
    const found = db.prepare(sql).all();
    db.close();
    return found;
  }

  async function close(): Promise<void> {
    deps.waiters.stop();
    hub.stop();
    deps.changes.stop();
    await store.close();
    await Deno.remove(folder, { recursive: true });
  }

  return { app, deps, store, clock, logged, request, post, publish, rows, close };
}

function createTestDeps({ options, store, clock, logged, signer }: {
  options: TestServerOptions;
  store: Store;
  clock: { nowMs: number };
  logged: string[];
  signer: Signer;
}): AppDeps {
  const { keys = { keys: [signer.publicKey], threshold: 1 }, behindProxy = false, ...policy } = options;
  const now = (): number => clock.nowMs;
  const releaseReads = policy.releaseReads ?? "open";
  return {
    policy: { fleet: "default", enrolment: "open", pollSeconds: 60, publicUrl: null, ...policy, releaseReads },
    store,
    ...createReadModel({ store, fleet: "default", now, gatherMs: 1 }),
    waiters: createWaiters({ now: () => performance.now(), sweepMs: 5 }),
    access: createAccess({
      publishTokens: [hashToken(PUBLISH_TOKEN)],
      enrolTokens: [hashToken(ENROL_TOKEN)],
      readTokens: createReadTokens(new Uint8Array(32)),
      releaseReads,
      behindProxy,
      isAccepted: (deviceId) => store.identity(deviceId)?.status === "accepted",
      now,
    }),
    trustKeys: createTrustKeys({ configured: keys, pinned: store.pinnedKeys }),
    isReady: () => Promise.resolve(true),
    now,
    random: () => 0.5,
    log: (_level, event) => void logged.push(event),
  };
}

/** Status and code of a refusal, which must be a problem document; for other answers the status alone. */
export async function outcomeOf(response: Response): Promise<string> {
  if (response.ok || response.status === 304) {
    await response.body?.cancel();
    return String(response.status);
  }
  if (response.headers.get("content-type") !== PROBLEM_CONTENT_TYPE) {
    throw new Error(`Answered ${response.status} without a problem document: ${await response.text()}`);
  }
  const { status, code, title, detail, type } = await response.json();
  if (status !== response.status || ![code, title, detail, type].every((text) => typeof text === "string" && text)) {
    throw new Error(`Answered ${response.status} with a problem document that lacks members`);
  }
  return `${status} ${code}`;
}
