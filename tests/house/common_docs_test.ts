/** Everything that two programs share says what it is, read from what `deno doc` finds in common/mod.ts. */
import assert from "node:assert/strict";

const ROOT = new URL("../../", import.meta.url);

interface Declaration {
  readonly kind: string;
  readonly location: { readonly filename: string; readonly line: number };
  readonly jsDoc?: { readonly doc?: string; readonly tags?: readonly { readonly kind: string }[] };
  readonly def?: { readonly elements?: readonly DocSymbol[] };
}

interface DocSymbol {
  readonly name: string;
  readonly declarations: readonly Declaration[];
}

/** Every export of a module, those of namespaces too, under its dotted name. */
function* exportsOf(symbols: readonly DocSymbol[], prefix = ""): Generator<DocSymbol> {
  for (const { name, declarations } of symbols) {
    yield { name: prefix + name, declarations };
    for (const { kind, def } of declarations) {
      if (kind === "namespace") yield* exportsOf(def?.elements ?? [], `${prefix}${name}.`);
    }
  }
}

async function readExports(): Promise<readonly DocSymbol[]> {
  const { stdout, success } = await new Deno.Command(Deno.execPath(), {
    args: ["doc", "--json", new URL("common/mod.ts", ROOT).pathname],
    env: { NO_COLOR: "1" },
    stderr: "inherit",
  }).output();
  assert.ok(success, "deno doc failed");
  const { nodes } = JSON.parse(new TextDecoder().decode(stdout)) as {
    nodes: Readonly<Record<string, { symbols: readonly DocSymbol[] }>>;
  };
  return Object.values(nodes).flatMap(({ symbols }) => [...exportsOf(symbols)]);
}

const EXPORTS = await readExports();

/** A type and a value may share a name; then one comment serves both. */
function commentOf({ declarations }: DocSymbol): string {
  return declarations.map(({ jsDoc }) => jsDoc?.doc ?? "").join("\n").trim();
}

/** The text of a declaration: from its line to the first closing brace at the margin. */
function textAt(source: string, line: number): string {
  const rest = source.split("\n").slice(line - 1);
  const end = rest.findIndex((one) => /^[})]/.test(one));
  return rest.slice(0, end + 1).join("\n");
}

Deno.test("every export of common/mod.ts has a doc comment of a whole sentence", () => {
  assert.ok(EXPORTS.length > 150, `deno doc found only ${EXPORTS.length} exports`);
  const wrong = EXPORTS.filter((one) => !/^[A-Z`{][^]{8,}/.test(commentOf(one))).map(({ name }) => name);
  assert.deepEqual(wrong, []);
});

Deno.test("every exported function of common/ that throws says when", async () => {
  const wrong: string[] = [];
  let throwing = 0;
  for (const { name, declarations } of EXPORTS) {
    for (const { kind, location, jsDoc } of declarations) {
      if (kind !== "function") continue;
      const text = textAt(await Deno.readTextFile(new URL(location.filename)), location.line);
      assert.ok(text.includes(name.split(".").at(-1) ?? name), `${name} is not where deno doc says`);
      if (!/\bthrow (?!error;|cause;)|\brefuse\(/.test(text)) continue;
      throwing += 1;
      const says = jsDoc?.tags?.some((tag) => tag.kind === "throws") ?? false;
      // The parsers of schema.ts say it once, at `Parser`.
      if (!says && !location.filename.endsWith("/schema.ts")) wrong.push(name);
    }
  }
  assert.ok(throwing > 15, `only ${throwing} functions throw`);
  assert.deepEqual(wrong, []);
});

Deno.test("every file of common/ says what it is for", async () => {
  const wrong: string[] = [];
  for await (const { name } of Deno.readDir(new URL("common/", ROOT))) {
    if (!name.endsWith(".ts") || name.endsWith("_test.ts")) continue;
    const text = await Deno.readTextFile(new URL(`common/${name}`, ROOT));
    if (!/^\/\*\*\n \* [A-Z][^]*? \* @module\n \*\/\n/.test(text)) wrong.push(name);
  }
  assert.deepEqual(wrong, []);
});

/** Exported functions that implement no clause of the protocol and no standard. */
const HELPERS: ReadonlySet<string> = new Set([
  "concatBytes",
  "createLog",
  "equalBytes",
  "formatBytes",
  "formatDuration",
  "messageOf",
  "parseDuration",
  "redact",
  "show",
  "unreachable",
]);

Deno.test("every exported function of common/ cites the clause or standard it implements, or is a known helper", () => {
  const uncited = EXPORTS.filter((one) => {
    const isFunction = one.declarations.some(({ kind }) => kind === "function");
    return isFunction && !/protocol \d|RFC \d|FIPS \d|ECMA-\d|Nix's|as Nix|\{@link/.test(commentOf(one));
  }).map(({ name }) => name);
  assert.deepEqual(uncited.filter((name) => !name.startsWith("schema.") && !HELPERS.has(name)), []);
});
