/** The executables that `deno task compile` makes. Runs where `DENORT_BIN` names the base executable. */
import assert from "node:assert/strict";

const ROOT = new URL("../../", import.meta.url).pathname;
const BIN = `${ROOT}dist/bin`;
/** Outside the repository, so that nothing of it can be found by accident. */
const ELSEWHERE = "/";

async function run(command: string, args: readonly string[]): Promise<{ code: number; text: string }> {
  const { code, stdout, stderr } = await new Deno.Command(command, { args: [...args], cwd: ELSEWHERE }).output();
  const decoder = new TextDecoder();
  return { code, text: decoder.decode(stdout) + decoder.decode(stderr) };
}

Deno.test("deno task compile makes three executables that run outside the repository", async (t) => {
  const { success } = await new Deno.Command(Deno.execPath(), { args: ["task", "compile"], cwd: ROOT }).spawn().status;
  assert.ok(success);
  for (const name of ["nix-ota", "nix-ota-agent", "nix-ota-server"]) {
    await t.step(`${name} --version`, async () => {
      const { code, text } = await run(`${BIN}/${name}`, ["--version"]);
      assert.equal(code, 0, text);
      assert.match(text, /\d+\.\d+\.\d+/);
    });
    await t.step(`${name} refuses an unknown option`, async () => {
      const { code } = await run(`${BIN}/${name}`, ["--no-such-option"]);
      assert.notEqual(code, 0);
    });
  }
});

Deno.test("the demo's story goes well with the compiled executables", async () => {
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: ["task", "demo"],
    cwd: ROOT,
    env: { NIX_OTA_BIN_DIR: BIN },
  }).spawn().status;
  assert.ok(success);
});
