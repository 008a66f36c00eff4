import assert from "node:assert/strict";
import { compileArgs, obstacleToCompile } from "./compile.ts";

Deno.test("obstacleToCompile() says in one line what is missing", async () => {
  assert.match(await obstacleToCompile(undefined) ?? "", /^Cannot compile as DENORT_BIN is not set: wanted [^\n]+$/);
  assert.match(
    await obstacleToCompile("/nowhere/denort") ?? "",
    /^Cannot compile as DENORT_BIN names "\/nowhere\/denort"/,
  );
  assert.equal(await obstacleToCompile(Deno.execPath()), null);
});

Deno.test("compileArgs() keeps permissions, lock and code cache as decided", () => {
  const args = compileArgs(
    { name: "x", entry: "x/main.ts", permissions: "agent", include: ["a"] },
    "aarch64-unknown-linux-gnu",
  );
  for (const flag of ["--frozen", "--no-code-cache", "-P=agent", "--exclude-unused-npm"]) {
    assert.ok(args.includes(flag), flag);
  }
  assert.deepEqual(args.slice(-5), ["--target", "aarch64-unknown-linux-gnu", "--output", "dist/bin/x", "x/main.ts"]);
});
