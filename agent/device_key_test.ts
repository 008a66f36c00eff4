import assert from "node:assert/strict";
import { openIdentity } from "./device_key.ts";
import { agentPaths } from "./paths.ts";
import { createDenoSystem } from "./system_deno.ts";

async function withState(
  test: (open: () => ReturnType<typeof openIdentity>, file: string) => Promise<void>,
): Promise<void> {
  const stateDir = await Deno.makeTempDir();
  const paths = agentPaths({ stateDir, gcRootsDir: stateDir });
  try {
    await test(() => openIdentity({ system: createDenoSystem(() => {}), paths }), paths.deviceKey);
  } finally {
    await Deno.remove(stateDir, { recursive: true });
  }
}

Deno.test("openIdentity() makes a key once, for its owner only", async () => {
  await withState(async (open, file) => {
    const first = await open();
    assert.match(first.fingerprint, /^SHA256:/);
    assert.equal(((await Deno.stat(file)).mode ?? 0) & 0o777, 0o600);
    assert.equal((await open()).fingerprint, first.fingerprint);
  });
});

Deno.test("openIdentity() keeps a key aside that cannot be used, and goes on with a new one", async (t) => {
  for (const content of ["", "not a key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"]) {
    await t.step(JSON.stringify(content), async () => {
      await withState(async (open, file) => {
        await Deno.writeTextFile(file, content);
        const { fingerprint } = await open();
        assert.equal(await Deno.readTextFile(`${file}.broken`), content);
        assert.equal((await open()).fingerprint, fingerprint);
      });
    });
  }
});
