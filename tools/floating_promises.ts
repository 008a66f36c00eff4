/**
 * Finds promises that nobody awaits: an expression statement whose value is a promise must be awaited, returned, or
 * marked with `void`. Deno's linter has no types and cannot see them; the compiler's type checker can.
 * Values of npm packages count as unknown here, so only our own functions and the runtime's are covered.
 *
 *   deno run -P=test tools/floating_promises.ts
 * @module
 */
import ts from "typescript";

const ROOT = new URL("../", import.meta.url).pathname.replace(/\/$/, "");
const FOLDERS = ["common", "agent", "server", "publisher", "routes", "islands", "tools", "tests", "demo", "bench"];

/** One promise that nobody awaits. */
export interface Finding {
  readonly file: string;
  readonly line: number;
  readonly text: string;
}

function entriesOf(folder: string): readonly Deno.DirEntry[] {
  try {
    return [...Deno.readDirSync(folder)];
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return []; // A room that does not exist has no promises.
    throw error;
  }
}

function* sources(folder: string): Generator<string> {
  for (const entry of entriesOf(folder)) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory) yield* sources(path);
    else if (/\.tsx?$/.test(entry.name) && !entry.name.endsWith(".d.ts")) yield path;
  }
}

/** The runtime's own types, as the compiler reads them. */
async function denoTypes(): Promise<string> {
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["types"] }).output();
  const path = await Deno.makeTempFile({ prefix: "nix-ota-types-", suffix: ".d.ts" });
  // The references name libraries that only Deno carries; the declarations themselves are what is needed.
  const text = new TextDecoder().decode(stdout).replaceAll(/^\/\/\/ <reference .*$/gm, "");
  await Deno.writeTextFile(path, text);
  return path;
}

function compile(files: readonly string[]): ts.Program {
  return ts.createProgram([...files], {
    target: ts.ScriptTarget.ESNext,
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    lib: ["lib.esnext.d.ts", "lib.dom.d.ts", "lib.dom.iterable.d.ts", "lib.dom.asynciterable.d.ts"],
    allowImportingTsExtensions: true,
    noEmit: true,
    strict: true,
    jsx: ts.JsxEmit.Preserve,
    skipLibCheck: true,
    types: [],
    baseUrl: ROOT,
    ignoreDeprecations: "6.0",
    paths: { "@nix-ota/common": ["common/mod.ts"], "@/*": ["*"] },
  });
}

/** A type with a callable `then`: what `await` waits for. */
function isPromise(checker: ts.TypeChecker, node: ts.Expression): boolean {
  const type = checker.getTypeAtLocation(node);
  const parts = type.isUnion() ? type.types : [type];
  return parts.some((part) => {
    const then = part.getProperty("then");
    return then !== undefined && checker.getTypeOfSymbolAtLocation(then, node).getCallSignatures().length > 0;
  });
}

/** A promise that is kept in a variable is somebody's to await. */
function isAssignment(node: ts.Expression): boolean {
  if (!ts.isBinaryExpression(node)) return false;
  const { kind } = node.operatorToken;
  return kind >= ts.SyntaxKind.FirstAssignment && kind <= ts.SyntaxKind.LastAssignment;
}

/** A rejection that is handled by `.then(_, handler)` or `.catch(handler)` does not float. */
function isHandled(node: ts.Expression): boolean {
  if (!ts.isCallExpression(node) || !ts.isPropertyAccessExpression(node.expression)) return false;
  const { name } = node.expression;
  if (name.text === "finally") return isHandled(node.expression.expression);
  return name.text === "catch" || (name.text === "then" && node.arguments.length === 2);
}

/** Looks through every source file of the workspace. */
export async function findFloatingPromises(root: string = ROOT): Promise<readonly Finding[]> {
  const types = await denoTypes();
  try {
    const files = [`${root}/main.ts`, ...FOLDERS.flatMap((folder) => [...sources(`${root}/${folder}`)])];
    const present = files.filter((file) => ts.sys.fileExists(file));
    const program = compile([types, ...present]);
    const checker = program.getTypeChecker();
    return present.flatMap((file) => {
      const source = program.getSourceFile(file);
      return source === undefined ? [] : findIn(source, checker);
    });
  } finally {
    await Deno.remove(types);
  }
}

function findIn(source: ts.SourceFile, checker: ts.TypeChecker): Finding[] {
  const found: Finding[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isExpressionStatement(node) && !ts.isAwaitExpression(node.expression)) {
      const { expression } = node;
      const kept = ts.isVoidExpression(expression) || isAssignment(expression) || isHandled(expression);
      if (!kept && isPromise(checker, expression)) {
        const { line } = source.getLineAndCharacterOfPosition(node.getStart());
        found.push({ file: source.fileName, line: line + 1, text: node.getText().split("\n")[0] ?? "" });
      }
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

if (import.meta.main) {
  const found = await findFloatingPromises();
  const lines = found.map(({ file, line, text }) =>
    `${file.slice(ROOT.length + 1)}:${line} nobody awaits this promise: ${text}`
  );
  if (found.length > 0) {
    lines.push(`${found.length} floating promises (await them, return them, or write void before them)`);
    Deno.stderr.writeSync(new TextEncoder().encode(`${lines.join("\n")}\n`));
    Deno.exit(1);
  }
}
