import assert from "node:assert/strict";
import { findFloatingPromises } from "./floating_promises.ts";

Deno.test("findFloatingPromises() finds calls that nobody awaits and leaves handled ones", async () => {
  const root = await Deno.makeTempDir({ prefix: "nix-ota-floating-" });
  try {
    for (
      const folder of ["common", "agent", "server", "publisher", "routes", "islands", "tools", "tests", "demo", "bench"]
    ) {
      await Deno.mkdir(`${root}/${folder}`);
    }
    await Deno.writeTextFile(
      `${root}/agent/a.ts`,
      [
        "async function later(): Promise<number> { return await Promise.resolve(1); }",
        "later();", // 2
        "Deno.remove('x');", // 3
        "later().then(() => 2);", // 4
        "void later();",
        "await later();",
        "later().catch(() => 2);",
        "later().then(() => 2, () => 3);",
        "[1].map((n) => n);",
        "let kept; kept = later(); kept ??= later();",
        "export {};",
      ].join("\n"),
    );
    const found = await findFloatingPromises(root);
    assert.deepEqual(found.map(({ line }) => line), [2, 3, 4]);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});
