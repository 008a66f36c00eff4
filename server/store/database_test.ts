import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { inTransaction, openReadOnly, openWriter, schemaVersion } from "./database.ts";
import { MIGRATIONS } from "./migrations/mod.ts";

async function withFolder(work: (path: string) => void | Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "nix-ota-store-" });
  try {
    await work(`${folder}/test.sqlite`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("openWriter() makes the schema once, and keeps what is there", () =>
  withFolder((path) => {
    const first = openWriter(path);
    assert.equal(schemaVersion(first), MIGRATIONS.length);
    first.exec("INSERT INTO meta (key, value) VALUES ('a', 'b')");
    first.close();
    const second = openWriter(path);
    assert.equal(second.prepare("SELECT value FROM meta").get()?.["value"], "b");
    second.close();
  }));

Deno.test("openWriter() runs the migrations that are missing, each as a whole", () =>
  withFolder((path) => {
    const [first = ""] = MIGRATIONS;
    openWriter(path, [first]).close();
    const broken = [
      first,
      "CREATE TABLE a (b TEXT) STRICT",
      "CREATE TABLE c (d TEXT) STRICT; INSERT INTO nowhere VALUES (1)",
    ];
    assert.throws(() => openWriter(path, broken), /no such table: nowhere/);
    const db = openWriter(path, broken.slice(0, 2));
    const tables = db.prepare("SELECT name FROM sqlite_schema WHERE name IN ('a', 'c')").all();
    assert.deepEqual([schemaVersion(db), tables.map(({ name }) => name)], [2, ["a"]]);
    db.close();
  }));

Deno.test("openWriter() refuses a newer schema and what is no database, and changes neither", () =>
  withFolder((path) => {
    const db = openWriter(path);
    db.exec(`PRAGMA user_version = ${MIGRATIONS.length + 1}`);
    db.close();
    assert.throws(() => openWriter(path), /its schema is version \d+: this program knows up to \d+ \(run the newer/);
    Deno.writeTextFileSync(
      path,
      "this is no database, and has been one for as long as it has more than 100 bytes. ".repeat(3),
    );
    const before = Deno.readTextFileSync(path);
    assert.throws(() => openWriter(path), /not a database/);
    assert.equal(Deno.readTextFileSync(path), before);
  }));

Deno.test("openWriter() is as durable and as strict as it says", () =>
  withFolder((path) => {
    const db = openWriter(path);
    const pragma = (name: string): unknown => Object.values(db.prepare(`PRAGMA ${name}`).get() ?? {})[0];
    assert.deepEqual(
      ["journal_mode", "synchronous", "foreign_keys", "trusted_schema"].map(pragma),
      ["wal", 2, 1, 0],
    );
    const loose = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND sql NOT LIKE '%STRICT%'").all();
    assert.deepEqual(loose.map(({ name }) => name), []);
    db.close();
  }));

Deno.test("openReadOnly() cannot write", () =>
  withFolder((path) => {
    const writer = openWriter(path);
    const reader = openReadOnly(path);
    assert.throws(() => reader.exec("DELETE FROM meta"), /readonly/);
    reader.close();
    writer.close();
  }));

Deno.test("inTransaction() keeps all or nothing", () => {
  const db = new DatabaseSync(":memory:");
  db.exec("CREATE TABLE a (b INTEGER CHECK (b > 0) DEFERRABLE) STRICT");
  assert.equal(inTransaction(db, () => db.prepare("INSERT INTO a VALUES (1)").run().changes), 1);
  assert.throws(() =>
    inTransaction(db, () => {
      db.exec("INSERT INTO a VALUES (2)");
      throw new Error("no");
    }), /no/);
  assert.equal(db.prepare("SELECT COUNT(*) AS n FROM a").get()?.["n"], 1);
  db.close();
});
