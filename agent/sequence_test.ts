import assert from "node:assert/strict";
import { agentPaths } from "./paths.ts";
import { type CheckinChain, openChain, SEQ_BLOCK, SEQ_JUMP_MAX } from "./sequence.ts";
import { createDenoSystem } from "./system_deno.ts";

async function withChain(test: (open: () => Promise<CheckinChain>, file: string) => Promise<void>): Promise<void> {
  const stateDir = await Deno.makeTempDir();
  const paths = agentPaths({ stateDir, gcRootsDir: `${stateDir}/roots` });
  try {
    await test(() => openChain({ system: createDenoSystem(() => {}), paths }), paths.sequence);
  } finally {
    await Deno.remove(stateDir, { recursive: true });
  }
}

Deno.test("the chain counts from 1 and carries the nonce of the last answer", async () => {
  await withChain(async (open) => {
    const chain = await open();
    assert.deepEqual(await chain.next(), { seq: 1, nonce: "" });
    chain.answered("abc");
    assert.deepEqual(await chain.next(), { seq: 2, nonce: "abc" });
  });
});

Deno.test("the chain never sends a number twice, however often the agent is killed", async () => {
  await withChain(async (open) => {
    let last = 0;
    for (let life = 0; life < 5; life++) {
      const chain = await open();
      for (let n = 0; n < SEQ_BLOCK + 3; n++) {
        const { seq } = await chain.next();
        assert.ok(seq > last, `${seq} after ${last}`);
        last = seq;
      }
    }
    assert.ok(last <= 5 * 2 * SEQ_BLOCK, "blocks are not wasted without end");
  });
});

Deno.test("the chain goes on exactly after an orderly end", async () => {
  await withChain(async (open) => {
    const chain = await open();
    await chain.next();
    chain.answered("abc");
    await chain.close();
    assert.deepEqual(await (await open()).next(), { seq: 2, nonce: "abc" });
  });
});

Deno.test("the chain writes once a block", async () => {
  await withChain(async (open, file) => {
    const chain = await open();
    await chain.next();
    const before = await Deno.stat(file);
    for (let n = 1; n < SEQ_BLOCK; n++) await chain.next();
    assert.equal((await Deno.stat(file)).ino, before.ino);
    await chain.next();
    assert.notEqual((await Deno.stat(file)).ino, before.ino);
  });
});

Deno.test("the chain begins anew where its file cannot be read", async (t) => {
  for (
    const content of ["", "{", "[]", '{"seq":-1,"nonce":""}', '{"seq":1,"nonce":"a b"}', '{"seq":1e300,"nonce":""}']
  ) {
    await t.step(JSON.stringify(content), async () => {
      await withChain(async (open, file) => {
        await Deno.writeTextFile(file, content);
        assert.equal((await (await open()).next()).seq, 1);
      });
    });
  }
});

Deno.test("the chain goes on from where the server says, forward and not too far", async () => {
  await withChain(async (open) => {
    const chain = await open();
    assert.ok(chain.resume({ seq: 500, nonce: "n1" }));
    assert.deepEqual(await chain.next(), { seq: 501, nonce: "n1" });
    assert.ok(chain.resume({ seq: 3, nonce: "n2" }), "a server that is behind only lends its nonce");
    assert.deepEqual(await chain.next(), { seq: 502, nonce: "n2" });
    for (const seq of [502 + SEQ_JUMP_MAX + 1, 1.5, -1, "9", null, NaN]) {
      assert.ok(!chain.resume({ seq, nonce: "n" }), String(seq));
    }
    for (const nonce of ["", "a b", "x".repeat(65), 7, null]) {
      assert.ok(!chain.resume({ seq: 600, nonce }), String(nonce));
    }
  });
});
