/**
 * What a check-in costs, against the same listener that only parses it; and how fast 100,000 devices are looked at.
 * Rates are per second of CPU time of the server, as other programs share the machine.
 * @module
 */
import {
  ENVELOPE_CONTENT_TYPE,
  formatEnvelope,
  formatRelease,
  formatSignerKeys,
  formatTimestamp,
  importVerifier,
  preAuthEncoding,
  signEnvelope,
  SIGNER_KEYS_HEADER,
} from "@nix-ota/common";
import { testRelease, testSigner, testStorePath } from "@/common/testing/documents.ts";
import { serverCommand } from "@/server/testing/server_process.ts";
import { testDevice, testState } from "@/server/testing/test_device.ts";
import { openStore, type Store } from "@/server/store/store.ts";
import { cpuMs, formatRequest, type LoadResult, sendLoad } from "./raw_load.ts";

const CONNECTIONS = 64;
const PER_CONNECTION = 60;
const ROUNDS = 3;
const FLEET_SIZE = Number(Deno.env.get("NIX_OTA_BENCH_DEVICES") ?? 100_000);

function say(text: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${text}\n`));
}

interface Running {
  readonly port: number;
  readonly pid: number;
  stop(): Promise<void>;
}

/** Starts a program and waits until it says its port. */
async function start(command: Deno.Command, pattern: RegExp): Promise<Running> {
  const child = command.spawn();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let said = "";
  while (!pattern.test(said)) {
    const { done, value } = await reader.read();
    if (done) throw new Error(`It did not start: ${said}`);
    said += value;
  }
  reader.releaseLock();
  return {
    port: Number(pattern.exec(said)?.[1]),
    pid: child.pid,
    stop: async () => {
      child.kill("SIGTERM");
      await child.status;
    },
  };
}

function startParseOnly(mode: string): Promise<Running> {
  const file = new URL("./parse_only.ts", import.meta.url).pathname;
  const args = ["run", "--no-check", "-q", "-P=server", file, mode];
  return start(
    new Deno.Command(Deno.execPath(), { args, stdin: "null", stdout: "piped", stderr: "inherit" }),
    /^(\d+)\n/,
  );
}

function startServer(mode: string, dataDir: string): Promise<Running> {
  const flags = ["--listen", "127.0.0.1:0", "--data-dir", dataDir, "--enrolment", "open", "--log-level", "error"];
  const proxy = mode === "proxy" ? ["--behind-proxy"] : [];
  return start(
    serverCommand([...flags, ...proxy], { stderr: "inherit" }),
    /Listening on +\S+:(\d+)\n[\s\S]*cache\.example/,
  );
}

function post(port: number, path: string, body: string, headers: Record<string, string> = {}): Promise<Response> {
  const type = { "content-type": ENVELOPE_CONTENT_TYPE };
  return fetch(`http://127.0.0.1:${port}${path}`, { method: "POST", headers: { ...type, ...headers }, body });
}

/** Enrols one device for each connection; answers what makes its next check-ins. */
async function enrolAll(
  port: number,
): Promise<(index: number, changed: boolean, count: number) => Promise<Uint8Array[]>> {
  const devices = await Promise.all(Array.from({ length: CONNECTIONS }, async (_, index) => {
    const device = await testDevice(`bench-${index}`, index + 1);
    const response = await post(port, "/enroll", formatEnvelope(await device.enrol()));
    // The first nonce stays valid while the answers to it count as lost: so check-ins can be signed in advance.
    device.chain.nonce = (await response.json()).nonce;
    return device;
  }));
  return async (index, changed, count) => {
    const device = devices[index];
    if (device === undefined) throw new Error("no such device");
    const requests: Uint8Array[] = [];
    for (let number = 0; number < count; number += 1) {
      const detail = changed ? `check-in ${device.chain.seq}` : null;
      const phase = changed && device.chain.seq % 2 === 0 ? "staging" : "idle";
      const body = formatEnvelope(
        await device.checkin({ state: testState({ detail, phase, running: testStorePath("a") }) }),
      );
      const headers = { "content-type": ENVELOPE_CONTENT_TYPE };
      requests.push(formatRequest({ method: "POST", path: "/checkin", headers, body }));
    }
    return requests;
  };
}

interface Measured extends LoadResult {
  readonly perCpuSecond: number;
}

async function measure(server: Running, requests: readonly (readonly Uint8Array[])[], status = 200): Promise<Measured> {
  const beforeMs = cpuMs(server.pid);
  const result = await sendLoad({
    port: server.port,
    connections: CONNECTIONS,
    requests: (index) => requests[index] ?? [],
    status,
  });
  return { ...result, perCpuSecond: 1000 * result.requests / Math.max(10, cpuMs(server.pid) - beforeMs) };
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

function report(name: string, runs: readonly Measured[], baseline: number): void {
  const of = (key: keyof Measured): number => median(runs.map((run) => run[key]));
  const wall = median(runs.map(({ requests, wallMs }) => 1000 * requests / wallMs));
  say(
    `${name.padEnd(44)}${of("perCpuSecond").toFixed(0).padStart(8)} /cpu-s  ratio ${
      (of("perCpuSecond") / baseline).toFixed(2)
    }` +
      `   ${wall.toFixed(0).padStart(6)} /s   p50 ${of("p50Ms").toFixed(1)} ms   p99 ${of("p99Ms").toFixed(1)} ms`,
  );
}

async function publishOne(port: number, dataDir: string): Promise<string> {
  const signer = await testSigner(1);
  const [issued = "", expires = ""] = [0, 86_400_000].map((afterMs) => formatTimestamp(Date.now() + afterMs));
  const envelope = await signEnvelope("release", formatRelease(testRelease({ issued, expires })), [signer]);
  const token = Deno.readTextFileSync(`${dataDir}/publish-token`).trim();
  const headers = { authorization: `Bearer ${token}`, [SIGNER_KEYS_HEADER]: formatSignerKeys([signer.publicKey]) };
  return (await (await post(port, "/channels/prod/publish", formatEnvelope(envelope), headers)).json()).digest;
}

async function benchCheckins(mode: string): Promise<void> {
  const dataDir = await Deno.makeTempDir({ prefix: "nix-ota-bench-" });
  const [parser, server] = [await startParseOnly(mode), await startServer(mode, dataDir)];
  const signAll = await enrolAll(server.port);
  const sign = (changed: boolean, count = PER_CONNECTION): Promise<Uint8Array[][]> =>
    Promise.all(Array.from({ length: CONNECTIONS }, (_, index) => signAll(index, changed, count)));
  const digest = await publishOne(server.port, dataDir);
  const poll = formatRequest({
    method: "GET",
    path: "/channels/prod/current",
    headers: { "if-none-match": `"${digest}"` },
  });
  const polls = Array.from({ length: CONNECTIONS }, () => Array<Uint8Array>(PER_CONNECTION).fill(poll));
  for (let warm = 0; warm < 3; warm += 1) {
    await measure(parser, await sign(false));
    await measure(server, await sign(true));
  }
  const runs: Record<"parse" | "same" | "changed" | "poll", Measured[]> = {
    parse: [],
    same: [],
    changed: [],
    poll: [],
  };
  for (let round = 0; round < ROUNDS; round += 1) {
    runs.parse.push(await measure(parser, await sign(false)));
    runs.same.push(await measure(server, await sign(false)));
    runs.changed.push(await measure(server, await sign(true)));
    runs.poll.push(await measure(server, polls, 304));
  }
  const baseline = median(runs.parse.map(({ perCpuSecond }) => perCpuSecond));
  say(`\nListener: ${mode === "proxy" ? "behind a proxy" : "guarding itself"}, ${CONNECTIONS} connections`);
  report("read and parse only (yardstick)", runs.parse, baseline);
  report("check-in, verified, on disk, nothing new", runs.same, baseline);
  report("check-in, verified, on disk, another state", runs.changed, baseline);
  report("poll answered 304", runs.poll, baseline);
  await Promise.all([parser.stop(), server.stop()]);
  await Deno.remove(dataDir, { recursive: true });
}

/** Fills a store with devices that run `running`. */
async function fill(store: Store, running: string): Promise<void> {
  const facts = { channel: "prod", system: "x86_64-linux", variant: "default" };
  const publicKey = new Uint8Array(32);
  const BATCH = 2000;
  for (let start = 0; start < FLEET_SIZE; start += BATCH) {
    const names = Array.from({ length: Math.min(BATCH, FLEET_SIZE - start) }, (_, index) => `device-${start + index}`);
    const common = { nowMs: 1, facts, fingerprint: "f" };
    await Promise.all(names.map((name) =>
      store.submit<"enrol">({
        ...common,
        kind: "enrol",
        name,
        publicKey,
        hostname: name,
        details: "{}",
        admission: "accepted",
        nonce: "n",
        pendingMax: 1,
        actor: "bench",
      })
    ));
    const state = {
      hash: "h",
      story: "{}",
      phase: "idle",
      targetDigest: null,
      result: null,
      running,
      json: JSON.stringify(testState({ running })),
    };
    await Promise.all(
      names.map((name) =>
        store.submit<"checkin">({
          ...common,
          kind: "checkin",
          name,
          seq: 1,
          nonce: "n",
          bootId: "b",
          state,
          newNonce: "m",
        })
      ),
    );
  }
}

async function timed(name: string, work: () => unknown, times = 9): Promise<void> {
  const tookMs: number[] = [];
  for (let time = 0; time < times; time += 1) {
    const startedMs = performance.now();
    await work();
    tookMs.push(performance.now() - startedMs);
  }
  say(`${name.padEnd(56)}${median(tookMs).toFixed(2).padStart(9)} ms`);
}

async function benchFleet(): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "nix-ota-bench-" });
  const store = await openStore({ path: `${folder}/bench.sqlite`, writer: "worker" });
  const startedMs = performance.now();
  await fill(store, testStorePath("one"));
  say(`\n${FLEET_SIZE} devices (written in ${((performance.now() - startedMs) / 1000).toFixed(1)} s)`);
  const [target] = testRelease().targets;
  if (target === undefined) throw new Error("the test release has no target");
  let revision = 0;
  let digest: string | null = null;
  const publish = async (storePath: string): Promise<void> => {
    revision += 1;
    const release = testRelease({ revision, prev: digest, targets: [{ ...target, storePath }] });
    digest = `sha256:${String(revision).padStart(64, "0")}`;
    const job = { release, digest, envelope: "{}", signers: [], pin: null, channelsMax: 9, actor: "bench" };
    await store.submit<"publish">({ kind: "publish", nowMs: 1, ...job });
  };
  // Each publish moves every device: from current to waiting, and back.
  await timed("publish that moves every device", () => publish(testStorePath(revision % 2 ? "two" : "one")), 4);
  const { fleetQueries } = store;
  const page = { channel: "prod", standing: null, after: "device-5", limit: 50 } as const;
  await timed("fleet()", () => fleetQueries.fleet({ fleet: "default", nowMs: 1 }));
  await timed("devices(), a page of 50", () => fleetQueries.devices(page));
  await timed("devices(), a page of 50 of one standing", () => fleetQueries.devices({ ...page, standing: "waiting" }));
  await timed("devices(), a standing that nobody has", () => fleetQueries.devices({ ...page, standing: "failed" }));
  await timed("progress() of the current release", () => fleetQueries.progress("prod", revision, 200));
  await timed("progress() of an older release", () => fleetQueries.progress("prod", 1, 200), 3);
  await store.close();
  await Deno.remove(folder, { recursive: true });
}

/** What every check-in costs at least, in this process: one signature, strictly verified. */
async function benchVerify(): Promise<void> {
  const device = await testDevice("bench", 1);
  const { payloadType, payload, signatures: [signature] } = await device.checkin({ nonce: "n" });
  const verify = await importVerifier(device.signer.publicKey.bytes);
  if (signature === undefined || verify === null) throw new Error("the test device did not sign");
  const message = preAuthEncoding(payloadType, payload);
  const COUNT = 3000;
  const beforeMs = cpuMs(Deno.pid);
  for (let time = 0; time < COUNT; time += 1) await verify(message, signature.sig);
  say(`One signature verified: ${(1000 * COUNT / Math.max(10, cpuMs(Deno.pid) - beforeMs)).toFixed(0)} /cpu-s`);
}

await benchVerify();
await benchCheckins("guarded");
await benchCheckins("proxy");
await benchFleet();
