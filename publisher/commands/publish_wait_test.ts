import assert from "node:assert/strict";
import type { DeviceRow, ReleaseProgress } from "@nix-ota/common";
import { makeDevice, makeProgress } from "../testing/devices.ts";
import { problem } from "../testing/fake_control.ts";
import { makeWorld, type PublishWorld } from "../testing/world.ts";

/** Makes the server tell these, one after the other, of the release that was just published; the last one stays. */
function tell(world: PublishWorld, steps: readonly (ReleaseProgress | Response)[], publishedMs = 1_000_000): void {
  let asked = 0;
  world.control.intercept = (_, path) => {
    const held = world.control.releases.at(-1);
    if (held === undefined) return undefined;
    if (path === "/api/v1/releases") return Response.json({ releases: [rowOf(held, publishedMs)], next: null });
    if (!path.endsWith("/progress")) return undefined;
    const step = steps[Math.min(asked++, steps.length - 1)];
    if (step instanceof Response) return step.clone();
    return Response.json({ ...step, digest: held.digest });
  };
}

function rowOf({ release, digest }: PublishWorld["control"]["releases"][number], publishedMs: number): unknown {
  const { channel, revision, issued, expires, notes, targets } = release;
  return {
    channel,
    revision,
    digest,
    publishedMs,
    issued,
    expires,
    notes,
    mode: "auto",
    signers: [],
    targets: targets.map(({ system, variant, storePath, closure }) => ({ system, variant, storePath, ...closure })),
  };
}

const device = (standing: DeviceRow["standing"], rest: Parameters<typeof makeDevice>[0] = {}): DeviceRow =>
  makeDevice({ deviceId: "fridge-001", standing, seenMs: 2_000_000, ...rest });

Deno.test("publish --wait ends with the devices", async (t) => {
  const rolledBack = { result: "rolled_back", reason: "health_failed:exit 3", detail: "fridge.service: dead" } as const;
  const rows: {
    name: string;
    steps: readonly (ReleaseProgress | Response)[];
    options?: Record<string, string>;
    code: number;
    says: RegExp;
    end: string;
  }[] = [
    {
      name: "they run it",
      steps: [
        makeProgress(0, [device("updating", { state: { phase: "staging" } })]),
        makeProgress(1, []),
      ],
      code: 0,
      says: /device +fridge-001: downloading\n.*device +fridge-001: runs it\n.*1 device runs revision 1/,
      end: "succeeded",
    },
    {
      name: "one rolled back",
      steps: [
        makeProgress(0, [device("updating", { state: { phase: "probation" } })]),
        makeProgress(0, [device("failed", { state: rolledBack })]),
      ],
      code: 6,
      says: /1 device failed .*\n +fridge-001: rolled back: the health check failed.*\n +fridge\.service: dead/,
      end: "failed",
    },
    {
      name: "time is up",
      steps: [makeProgress(0, [device("updating")])],
      options: { "wait-timeout": "1s" },
      code: 7,
      says: /out of time after \d s: 0 run it, 1 still have to/,
      end: "timed_out",
    },
    {
      name: "a newer release took over",
      steps: [{ ...makeProgress(0, [device("waiting")]), isHead: false }],
      code: 7,
      says: /a newer release took over/,
      end: "superseded",
    },
    {
      name: "one is off: it does not hold CI",
      steps: [makeProgress(1, [device("waiting", { seenMs: 5 })])],
      options: { "offline-after": "1s" },
      code: 0,
      says: /1 device runs revision 1 .*\n.*take it when they are back: fridge-001/,
      end: "succeeded",
    },
    {
      name: "nobody is there",
      steps: [makeProgress(0, [])],
      code: 0,
      says: /no device is on the channel/,
      end: "no_devices",
    },
    {
      name: "the server is away for a while",
      steps: [problem("internal", "restarting"), makeProgress(1, [])],
      code: 0,
      says: /restarting \(says the server .*; still trying\n.*1 device runs/,
      end: "succeeded",
    },
    {
      name: "the server stays away",
      steps: [problem("internal", "restarting")],
      options: { "wait-timeout": "1s" },
      code: 5,
      says: /the server has not answered after \d s: devices go on by themselves/,
      end: "unreachable",
    },
  ];
  for (const { name, steps, options = {}, code, says, end } of rows) {
    await t.step(name, async () => {
      await using world = await makeWorld();
      tell(world, steps);
      const result = await world.publish({ wait: true, json: true, ...options });
      assert.equal(result.code, code, result.stderr);
      assert.match(result.stderr, says);
      const report = JSON.parse(result.stdout);
      assert.equal(report.published, true);
      assert.equal(report.rollout.end, end);
    });
  }
});

Deno.test("publish --wait stops at Ctrl-C without taking anything back", async () => {
  await using world = await makeWorld();
  tell(world, [makeProgress(0, [device("updating", { state: { phase: "staging" } })])]);
  const { code, stderr, stdout } = await world.publish({ wait: true, json: true }, {
    interrupt: { after: "downloading" },
  });
  assert.equal(code, 130, stderr);
  assert.match(stderr, /no longer followed; the release is published and devices go on with it/);
  assert.equal(JSON.parse(stdout).rollout.end, "interrupted");
  assert.equal(world.control.releases.length, 1);
});

Deno.test("publish --wait says so when the token may not read, and that the release is out", async () => {
  await using world = await makeWorld();
  tell(world, [problem("forbidden", "Cannot read the fleet with this token")]);
  const { code, stderr, stdout } = await world.publish({ wait: true, json: true });
  assert.equal(code, 4);
  assert.match(stderr, /✗ rollout +Cannot read the fleet with this token .*\n! rollout +the release is published, but/);
  assert.equal(JSON.parse(stdout).published, true);
});
