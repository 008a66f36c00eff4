/**
 * Rows of refusals: what is wrong, how it ends, what it says, and what must hold for all of them.
 * @module
 */
import assert from "node:assert/strict";
import type { CliOptions, CliResult } from "./cli.ts";
import { makeWorld, type PublishWorld } from "./world.ts";

type Changes = Parameters<PublishWorld["args"]>[0];

/** One way in which a publish is refused, or goes well in spite of it (code 0). */
export interface Row {
  readonly name: string;
  /** Breaks the world, and says which options and environment differ. */
  readonly given: (world: PublishWorld) => Promise<Given> | Given;
  readonly code: number;
  /** Found in what the program says. */
  readonly says: RegExp;
}

/** What differs from a publish in which everything is well. */
export interface Given {
  readonly options?: Changes;
  readonly run?: CliOptions;
}

/** Runs every row in a world of its own. */
export async function checkRows(t: Deno.TestContext, rows: readonly Row[]): Promise<void> {
  for (const row of rows) {
    await t.step(row.name, async () => {
      await using world = await makeWorld();
      const { options, run } = await row.given(world);
      const result = await world.publish(options, run);
      assert.equal(result.code, row.code, `${result.stderr}${result.stdout}`);
      assert.match(result.stderr, row.says);
      await checkManners(world, result);
    });
  }
}

/** What holds however it ends: no secrets, no stack traces, one sentence, and nothing sent after a refusal. */
async function checkManners(world: PublishWorld, { code, stdout, stderr }: CliResult): Promise<void> {
  const said = stdout + stderr;
  const keyLines = (await Deno.readTextFile(world.keyFile).catch(() => "")).split("\n").filter((line) =>
    line.length > 40
  );
  for (const secret of [world.control.token, ...keyLines]) assert.ok(!said.includes(secret), "a secret was shown");
  assert.ok(!/^\s+at .*:\d+:\d+\)?$/m.test(said), `a stack trace was shown: ${said}`);
  assert.ok(!/\bundefined\b|\[object /.test(said), `a value was not put into words: ${said}`);
  if (code === 0) return;
  const sentences = stderr.split("\n").filter((line) => line.startsWith("nix-ota: "));
  assert.equal(sentences.length, 1, stderr);
  assert.ok(!sentences[0]?.endsWith("."), "sentences end without a period");
  assert.equal(stdout, "");
  assert.deepEqual(world.control.releases, []);
}
