import assert from "node:assert/strict";
import {
  createDisk,
  cutPower,
  type Disk,
  makeDirectories,
  readFile,
  renameFile,
  syncAll,
  syncPath,
  writeFile,
} from "./disk.ts";
import { createRandom } from "./random.ts";

const text = (content: string) => new TextEncoder().encode(content);

function contentOf(disk: Disk, path: string): string | null {
  const content = readFile(disk, path);
  return content === null ? null : new TextDecoder().decode(content);
}

/** A disk with a directory and a durable file in it. */
function diskWithOld(): Disk {
  const disk = createDisk();
  makeDirectories(disk, "/d", 0o755);
  writeFile(disk, "/d/file", text("old"), 0o600);
  syncAll(disk);
  return disk;
}

/** Everything that a power cut can leave of a file. */
function outcomes(prepare: (disk: Disk) => void, path = "/d/file"): Set<string | null> {
  const found = new Set<string | null>();
  for (let seed = 0; seed < 300; seed++) {
    const disk = diskWithOld();
    prepare(disk);
    cutPower(disk, "random", createRandom(seed));
    found.add(contentOf(disk, path));
  }
  return found;
}

Deno.test("the disk may lose, tear or keep what was not synced", () => {
  const found = outcomes((disk) => writeFile(disk, "/d/file", text("newer"), 0o600));
  for (const wanted of ["old", "newer", "", "\0\0\0\0\0"]) assert.ok(found.has(wanted), JSON.stringify([...found]));
});

Deno.test("the disk keeps what was synced", () => {
  const found = outcomes((disk) => {
    writeFile(disk, "/d/file", text("newer"), 0o600);
    syncPath(disk, "/d/file");
  });
  assert.deepEqual([...found], ["newer"]);
});

Deno.test("the disk may forget a rename until its directory is synced, and leaves the old or the new file", () => {
  const rename = (disk: Disk) => {
    writeFile(disk, "/d/file.new", text("newer"), 0o600);
    syncPath(disk, "/d/file.new");
    renameFile(disk, "/d/file.new", "/d/file");
  };
  assert.deepEqual(new Set(outcomes(rename)), new Set(["old", "newer"]));
  assert.deepEqual([...outcomes((disk) => (rename(disk), syncPath(disk, "/d")))], ["newer"]);
});

Deno.test("the disk may do renames out of order", () => {
  const swap = (disk: Disk) => {
    writeFile(disk, "/d/file.new", text("newer"), 0o600);
    syncPath(disk, "/d/file.new");
    renameFile(disk, "/d/file", "/d/kept");
    renameFile(disk, "/d/file.new", "/d/file");
  };
  assert.ok(outcomes(swap).has(null), "the file can be gone while its old content has another name");
});

Deno.test("the disk loses what is in a directory that it loses", () => {
  const disk = createDisk();
  makeDirectories(disk, "/d", 0o755);
  writeFile(disk, "/d/file", text("x"), 0o600);
  syncPath(disk, "/d/file");
  cutPower(disk, "drop", () => 0);
  assert.equal(contentOf(disk, "/d/file"), null);
});
