import assert from "node:assert/strict";
import { digestOf, encodeUtf8 } from "@nix-ota/common";
import { digest, situationIn, TARGET, TRIAL } from "./fake/deployments.ts";
import {
  formatJournal,
  JOURNAL_SCHEMA,
  journalPaths,
  NewerJournalError,
  openJournal,
  parseJournal,
  readJournal,
  setBrokenAside,
} from "./journal.ts";
import type { Situation, State } from "./state.ts";
import { denoFiles } from "./system_deno.ts";

const STATES: readonly State[] = [
  { kind: "idle" },
  { kind: "staging", target: TARGET },
  { kind: "staged", target: TARGET },
  { kind: "trial", ...TRIAL, action: "boot" },
  { kind: "rebooting", ...TRIAL, reason: null },
  { kind: "probation", ...TRIAL, prev: null, warnings: true },
  {
    kind: "rolling_back",
    ...TRIAL,
    how: "profile",
    outcome: { result: "rolled_back", reason: "health_failed:exit 3", detail: "it said no" },
    remember: true,
  },
];

const FULL: Situation = situationIn({ kind: "idle" }, {
  floors: { "default/prod": { revision: 7, digest: TARGET.digest } },
  timeFloorMs: 5,
  bad: [{ digest: digest("6"), reason: "health_failed", atMs: 4 }],
  last: {
    result: "succeeded",
    reason: null,
    detail: null,
    release: { revision: 7, digest: TARGET.digest, storePath: TARGET.storePath },
    atMs: 6,
  },
  confirmed: TARGET,
  previous: TARGET.storePath,
  unsentLog: TARGET,
});

async function withFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

for (const state of STATES) {
  Deno.test(`the journal brings ${state.kind} back as it was`, async () => {
    const situation = { ...FULL, state };
    assert.deepEqual(await parseJournal(await formatJournal(situation)), situation);
  });
}

Deno.test("parseJournal() refuses a journal with any byte altered, and one cut anywhere", async () => {
  const whole = await formatJournal(FULL);
  for (let at = 0; at < whole.length; at += 7) {
    const altered = whole.slice();
    altered[at] = (altered[at] ?? 0) ^ 1;
    await assert.rejects(parseJournal(altered), `altered at ${at}`);
    await assert.rejects(parseJournal(whole.slice(0, at)), `cut at ${at}`);
  }
  await assert.rejects(parseJournal(new Uint8Array(whole.length)));
});

Deno.test("parseJournal() refuses the form of a newer agent, and reads fields that a newer agent added", async () => {
  const seal = async (value: unknown) => {
    const line = `${JSON.stringify(value)}\n`;
    return encodeUtf8(`${line}${await digestOf(encodeUtf8(line))}\n`);
  };
  await assert.rejects(parseJournal(await seal({ schema: JOURNAL_SCHEMA + 1, situation: FULL })), NewerJournalError);
  const added = {
    schema: JOURNAL_SCHEMA,
    more: 1,
    situation: { ...FULL, more: 2, memory: { ...FULL.memory, more: 3 } },
  };
  assert.deepEqual(await parseJournal(await seal(added)), FULL);
});

Deno.test("readJournal() says a first start from a loss", async () => {
  await withFolder(async (stateDir) => {
    assert.equal((await readJournal(denoFiles, { stateDir, nowMs: 0 })).kind, "first-start");
    await Deno.writeTextFile(journalPaths(stateDir).current, "torn");
    const found = await readJournal(denoFiles, { stateDir, nowMs: 0 });
    assert.equal(found.kind, "lost");
    assert.equal(found.situation.state.kind, "idle");
  });
});

Deno.test("readJournal() takes the previous copy where the newest is torn, and the broken one is kept aside", async () => {
  await withFolder(async (stateDir) => {
    const journal = openJournal(denoFiles, stateDir);
    const first = situationIn({ kind: "staging", target: TARGET });
    await journal.write(first);
    await journal.write(FULL);
    assert.deepEqual((await readJournal(denoFiles, { stateDir, nowMs: 0 })).situation, FULL);
    const { current, previous } = journalPaths(stateDir);
    await Deno.writeTextFile(current, "torn");
    const found = await readJournal(denoFiles, { stateDir, nowMs: 0 });
    assert.equal(found.kind, "previous-copy");
    assert.deepEqual(found.situation, first);
    await setBrokenAside(denoFiles, stateDir);
    assert.equal(await Deno.readTextFile(`${current}.broken`), "torn");
    await journal.write(FULL);
    assert.deepEqual((await readJournal(denoFiles, { stateDir, nowMs: 0 })).situation, FULL);
    assert.ok(await Deno.stat(previous), "the good copy was not put aside");
  });
});

Deno.test("the journal is for its owner's eyes only", async () => {
  await withFolder(async (stateDir) => {
    await openJournal(denoFiles, stateDir).write(FULL);
    assert.equal(((await Deno.stat(journalPaths(stateDir).current)).mode ?? 0) & 0o777, 0o600);
  });
});

Deno.test("readJournal() refuses a newer agent's journal rather than begin anew", async () => {
  await withFolder(async (stateDir) => {
    const line = `${JSON.stringify({ schema: 99, situation: {} })}\n`;
    await Deno.writeTextFile(journalPaths(stateDir).current, `${line}${await digestOf(encodeUtf8(line))}\n`);
    await assert.rejects(readJournal(denoFiles, { stateDir, nowMs: 0 }), /newer agent wrote it in form 99/);
  });
});
