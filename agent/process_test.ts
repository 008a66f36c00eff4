import assert from "node:assert/strict";
import { runProcess, startDetachedProcess } from "./process.ts";
import { OUTPUT_TAIL_BYTES } from "./system.ts";

const ENV = { PATH: "/usr/bin:/bin" };

function sh(
  script: string,
  timeoutMs = 10_000,
  more: Partial<Parameters<typeof runProcess>[0]> = {},
): ReturnType<typeof runProcess> {
  return runProcess({ argv: ["/bin/sh", "-c", script], env: ENV, timeoutMs, ...more });
}

/** Whether any process has this word on its command line. */
async function runs(word: string): Promise<boolean> {
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const line = await Deno.readTextFile(`/proc/${name}/cmdline`).catch(() => "");
    if (line.includes(word) && !line.includes("deno")) return true;
  }
  return false;
}

Deno.test("runProcess() gives output and exit code", async () => {
  const ran = await sh("echo out; echo err >&2; exit 3");
  assert.deepEqual(ran, { code: 3, stdout: "out\n", stderr: "err\n", killed: null });
});

Deno.test("runProcess() passes on nothing of the agent's own environment", async () => {
  Deno.env.set("NIX_CONFIG", "trusted-public-keys = evil");
  try {
    const { stdout } = await sh("env | cut -d= -f1 | sort");
    assert.deepEqual(stdout.trim().split("\n").filter((name) => !["PWD", "SHLVL", "_", "OLDPWD"].includes(name)), [
      "PATH",
    ]);
  } finally {
    Deno.env.delete("NIX_CONFIG");
  }
});

Deno.test("runProcess() kills the whole group at the deadline", async () => {
  const word = `sleep 98${Math.floor(Math.random() * 1e6)}`;
  const startMs = performance.now();
  const ran = await sh(`${word} & ${word}1; echo never`, 300);
  assert.equal(ran.killed, "timeout");
  assert.equal(ran.code, 137);
  assert.ok(performance.now() - startMs < 5_000);
  assert.ok(!await runs(word.slice("sleep ".length)), "something of the group lives on");
});

Deno.test("runProcess() does not wait for what a program leaves in its group", async () => {
  const startMs = performance.now();
  const ran = await sh("sleep 60 & echo done");
  assert.equal(ran.stdout, "done\n");
  assert.ok(performance.now() - startMs < 4_000);
});

Deno.test("runProcess() does not wait for what left the group and holds the output open", async () => {
  const startMs = performance.now();
  const ran = await sh("setsid sleep 7 & echo done");
  assert.equal(ran.code, 0);
  assert.ok(performance.now() - startMs < 6_000);
});

Deno.test("runProcess() ends early when its signal fires, and at once when it has fired", async () => {
  const stop = new AbortController();
  setTimeout(() => stop.abort(), 100);
  assert.equal((await sh("sleep 60", 30_000, { signal: stop.signal })).killed, "signal");
  assert.equal((await sh("sleep 60", 30_000, { signal: stop.signal })).killed, "signal");
});

Deno.test("runProcess() keeps the end of a long stderr and hands on whole lines", async () => {
  let lines = 0;
  const ran = await sh(
    'i=0; while [ $i -lt 20000 ]; do echo "line $i" >&2; i=$((i+1)); done; printf last >&2',
    30_000,
    {
      onStderrLine: () => void lines++,
    },
  );
  assert.ok(ran.stderr.length <= OUTPUT_TAIL_BYTES);
  assert.ok(ran.stderr.endsWith("line 19999\nlast"));
  assert.equal(lines, 20_001);
});

Deno.test("runProcess() survives a line without an end", async () => {
  let longest = 0;
  await sh("head -c 5000000 /dev/zero | tr '\\0' x >&2", 30_000, {
    onStderrLine: (line) => longest = Math.max(longest, line.length),
  });
  assert.ok(longest <= 64 * 1024 + 65_536, `${longest}`);
});

Deno.test("startDetachedProcess() starts what outlives the call, as leader of its group", async () => {
  const file = await Deno.makeTempFile();
  try {
    // proc(5): pid, name, state, parent, process group.
    const script = 'read -r a b c d group rest </proc/$$/stat; echo "$group" >"$0.new" && mv "$0.new" "$0"';
    const pid = startDetachedProcess(["/bin/sh", "-c", script, file], ENV);
    let group = "";
    for (let wait = 0; wait < 500 && group === ""; wait++) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      group = (await Deno.readTextFile(file)).trim();
    }
    assert.equal(Number(group), pid);
  } finally {
    await Deno.remove(file);
  }
});
