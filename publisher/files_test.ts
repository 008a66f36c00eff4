import assert from "node:assert/strict";
import { createFiles, directoryOf, readInput, replaceFile } from "./files.ts";

async function withFolder(use: (folder: string) => void | Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "nix-ota-files-" });
  try {
    await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const namesIn = (folder: string): string[] => [...Deno.readDirSync(folder)].map(({ name }) => name).sort();

Deno.test("createFiles() makes all files or none", () =>
  withFolder((folder) => {
    const file = (name: string): Parameters<typeof createFiles>[0][number] => ({
      path: `${folder}/${name}`,
      content: name,
      mode: 0o600,
    });
    createFiles([file("a"), file("b")]);
    assert.deepEqual(namesIn(folder), ["a", "b"]);
    assert.equal(Deno.statSync(`${folder}/a`).mode! & 0o777, 0o600);
    assert.throws(() => createFiles([file("c"), file("a")]), Deno.errors.AlreadyExists);
    assert.deepEqual(namesIn(folder), ["a", "b"]);
    assert.throws(() => createFiles([file("c"), file("no/where")]), Deno.errors.NotFound);
    assert.deepEqual(namesIn(folder), ["a", "b"]);
  }));

Deno.test("createFiles() follows no link that waits at the place", () =>
  withFolder((folder) => {
    Deno.symlinkSync(`${folder}/elsewhere`, `${folder}/a`);
    const file = { path: `${folder}/a`, content: "x", mode: 0o600 };
    assert.throws(() => createFiles([file]), Deno.errors.AlreadyExists);
    assert.deepEqual(namesIn(folder), ["a"]);
  }));

Deno.test("replaceFile() leaves the old file whole when it fails", () =>
  withFolder((folder) => {
    const path = `${folder}/a`;
    replaceFile({ path, content: "old", mode: 0o644 });
    replaceFile({ path, content: "new", mode: 0o644 });
    assert.equal(Deno.readTextFileSync(path), "new");
    Deno.mkdirSync(`${folder}/d/x`, { recursive: true });
    assert.throws(() => replaceFile({ path: `${folder}/d`, content: "x", mode: 0o644 }));
    assert.deepEqual(namesIn(folder), ["a", "d"]);
  }));

Deno.test("readInput() reads up to its limit and not a byte more", () =>
  withFolder(async (folder) => {
    const path = `${folder}/a`;
    await Deno.writeTextFile(path, "12345");
    assert.equal((await readInput(path, { what: "it", maxBytes: 5 })).length, 5);
    await assert.rejects(readInput(path, { what: "it", maxBytes: 4 }), /as it has more than 4 bytes/);
    await assert.rejects(readInput("/dev/zero", { what: "it", maxBytes: 1000 }), /as it has more than 1000 bytes/);
  }));

Deno.test("directoryOf() is where a file is", () => {
  assert.deepEqual(["a", "./a", "/a", "/b/a", "b/c/a"].map(directoryOf), [".", ".", "/", "/b", "b/c"]);
});
