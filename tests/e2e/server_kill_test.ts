/**
 * A server killed with SIGKILL in the middle of check-ins and publishes, again and again: whatever it acknowledged is
 * there afterwards, and every device goes on.
 *
 *   NIX_OTA_SERVER_KILLS=500 deno test -P=test tests/e2e/server_kill_test.ts
 */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import {
  type Envelope,
  ENVELOPE_CONTENT_TYPE,
  formatEnvelope,
  formatRelease,
  formatSignerKeys,
  formatTimestamp,
  signEnvelope,
  SIGNER_KEYS_HEADER,
} from "@nix-ota/common";
import { testRelease, testSigner } from "@/common/testing/documents.ts";
import { backUp } from "@/server/backup.ts";
import { type ServerProcess, startServerProcess } from "@/server/testing/server_process.ts";
import { type TestDevice, testDevice, testState } from "@/server/testing/test_device.ts";

const KILLS = Number(Deno.env.get("NIX_OTA_SERVER_KILLS") ?? 20);
const DEVICES = 16;
/** Load between a start and its kill, in milliseconds: U(0, this). */
const LOAD_MS = 600;

/** What the server acknowledged. */
interface Acked {
  /** Last acknowledged check-in of each device. */
  readonly checkins: Map<string, { seq: number; nonce: string }>;
  readonly releases: { revision: number; digest: string }[];
  count: number;
}

/** Posts an envelope; null where the server was killed before it answered. */
async function post(url: string, envelope: Envelope, headers: Record<string, string> = {}): Promise<Response | null> {
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: { "content-type": ENVELOPE_CONTENT_TYPE, ...headers },
      body: formatEnvelope(envelope),
    });
    const text = await response.text();
    return new Response(text, response);
  } catch {
    return null;
  }
}

async function keepCheckingIn(url: string, device: TestDevice, acked: Acked): Promise<void> {
  for (;;) {
    // Another state each time, so that every table is written.
    const state = testState({
      detail: `check-in ${device.chain.seq}`,
      phase: device.chain.seq % 2 ? "idle" : "staging",
    });
    const response = await post(`${url}/checkin`, await device.checkin({ state }));
    if (response === null) return;
    const answer = await response.json();
    assert.equal(response.status, 200, `${device.name} was refused: ${JSON.stringify(answer)}`);
    device.chain.nonce = answer.nonce;
    acked.checkins.set(device.name, { ...device.chain });
    acked.count += 1;
  }
}

async function keepPublishing(url: string, token: string, acked: Acked, next: { revision: number }): Promise<void> {
  const signer = await testSigner(1);
  const headers = { authorization: `Bearer ${token}`, [SIGNER_KEYS_HEADER]: formatSignerKeys([signer.publicKey]) };
  for (;;) {
    const head = await fetch(`${url}/channels/prod/current`).then(
      (response) => response.text().then(() => response),
      () => null,
    );
    if (head === null) return;
    const prev = head.headers.get("etag")?.slice(1, -1) ?? null;
    next.revision += 1;
    const [issued, expires] = [0, 86_400_000].map((afterMs) => formatTimestamp(Date.now() + afterMs));
    assert.ok(issued !== undefined && expires !== undefined);
    const release = testRelease({ revision: next.revision, prev, issued, expires });
    const response = await post(
      `${url}/channels/prod/publish`,
      await signEnvelope("release", formatRelease(release), [signer]),
      headers,
    );
    if (response === null) return;
    const answer = await response.json();
    assert.equal(response.status, 201, JSON.stringify(answer));
    acked.releases.push(answer);
    acked.count += 1;
  }
}

const LAST_CHECKIN = `
SELECT s.seq, s.nonce, t.state FROM device AS d
JOIN device_seen AS s ON s.device_id = d.id LEFT JOIN device_state AS t ON t.device_id = d.id
WHERE d.name = ?`;
const RELEASE = `
SELECT 1 FROM release AS r JOIN release_target AS t USING (channel, revision) WHERE r.revision = ? AND r.digest = ?`;
/** Standings whose counter is not the number of devices there. */
const MISCOUNTED = `
SELECT COUNT(*) AS wrong
FROM (SELECT channel, standing, COUNT(*) AS n FROM device GROUP BY channel, standing) AS d
FULL JOIN (SELECT channel, standing, devices FROM standing_count WHERE devices > 0) AS c USING (channel, standing)
WHERE d.n IS NOT c.devices`;

/** Looks at the database that a killed server left: what was acknowledged and is not there. */
function findLost(path: string, acked: Acked): { lost: string[]; integrity: string; miscounted: number } {
  const db = new DatabaseSync(path);
  const lost: string[] = [];
  const seen = db.prepare(LAST_CHECKIN);
  for (const [name, { seq, nonce }] of acked.checkins) {
    const row = seen.get(name);
    const found = Number(row?.["seq"]);
    const state = String(row?.["state"]);
    // A later one may have been written without having been acknowledged.
    const there = found > seq || (found === seq && row?.["nonce"] === nonce && state.includes(`check-in ${seq - 1}"`));
    if (!there) lost.push(`${name} ${seq}`);
  }
  const release = db.prepare(RELEASE);
  for (const { revision, digest } of acked.releases) {
    if (!release.get(revision, digest)) lost.push(`revision ${revision}`);
  }
  const integrity = String(Object.values(db.prepare("PRAGMA integrity_check").get() ?? {})[0]);
  const counts = db.prepare(MISCOUNTED);
  const miscounted = Number(counts.get()?.["wrong"]);
  db.close();
  return { lost, integrity, miscounted };
}

async function loadAndKill(server: ServerProcess, work: readonly Promise<void>[]): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, Math.random() * LOAD_MS));
  assert.equal(await server.end("SIGKILL"), 137);
  await Promise.all(work);
}

/** A folder for a server, and the devices and the publisher that keep it busy. */
async function openLoad(): Promise<{
  folder: string;
  acked: Acked;
  /** Lets every device check in and the publisher publish until the server is gone. */
  run(server: ServerProcess): readonly Promise<void>[];
}> {
  const folder = await Deno.makeTempDir({ prefix: "nix-ota-kill-" });
  const acked: Acked = { checkins: new Map(), releases: [], count: 0 };
  const next = { revision: 0 };
  const devices = await Promise.all(Array.from({ length: DEVICES }, (_, index) => testDevice(`d${index}`, 10 + index)));
  const enrolled = new Set<string>();

  async function join(url: string, device: TestDevice): Promise<void> {
    if (!enrolled.has(device.name)) {
      const response = await post(`${url}/enroll`, await device.enrol());
      if (response === null) return;
      device.chain.nonce = (await response.json()).nonce;
      enrolled.add(device.name);
    }
    await keepCheckingIn(url, device, acked);
  }

  return {
    folder,
    acked,
    run: ({ url }) => {
      const token = Deno.readTextFileSync(`${folder}/publish-token`).trim();
      return [...devices.map((device) => join(url, device)), keepPublishing(url, token, acked, next)];
    },
  };
}

const WHOLE = { lost: [], integrity: "ok", miscounted: 0 };

Deno.test(`${KILLS} SIGKILLs under load lose nothing that was acknowledged`, async () => {
  const { folder, acked, run } = await openLoad();
  for (let kill = 0; kill < KILLS; kill += 1) {
    const server = await startServerProcess(folder, "--enrolment", "open");
    await loadAndKill(server, run(server));
    assert.deepEqual(findLost(`${folder}/nix-ota.sqlite`, acked), WHOLE);
  }
  assert.ok(acked.count > KILLS, "there was no load to speak of");
  const summary = `${KILLS} kills, ${acked.count} acknowledged, of them ${acked.releases.length} releases, 0 lost\n`;
  Deno.stdout.writeSync(new TextEncoder().encode(summary));
  await Deno.remove(folder, { recursive: true });
});

Deno.test("a backup taken under load is whole and has what was acknowledged before it", async () => {
  const { folder, acked, run } = await openLoad();
  const server = await startServerProcess(folder, "--enrolment", "open");
  const work = run(server);
  for (let number = 0; number < 3; number += 1) {
    await new Promise((resolve) => setTimeout(resolve, 400));
    const before: Acked = { checkins: new Map(acked.checkins), releases: [...acked.releases], count: acked.count };
    const file = `${folder}/copy-${number}.sqlite`;
    await backUp(folder, file);
    assert.deepEqual(findLost(file, before), WHOLE);
  }
  await server.end("SIGKILL");
  await Promise.all(work);
  assert.ok(acked.releases.length > 0 && acked.checkins.size === DEVICES);
  await Deno.remove(folder, { recursive: true });
});
