import assert from "node:assert/strict";
import type { Json } from "./canonical.ts";
import {
  DEVICE_STATUSES,
  DevicePage,
  DeviceRow,
  Fleet,
  PAGE_MAX,
  ReleasePage,
  ReleaseProgress,
  STANDINGS,
} from "./operator.ts";
import { SchemaError } from "./schema.ts";
import { TEST_AT, testCheckin, testStorePath } from "./testing/documents.ts";
import { withField } from "./testing/mutants.ts";

const DIGEST = `sha256:${"ab".repeat(32)}`;
const DEVICE: Json = {
  deviceId: "fridge-007",
  fingerprint: "SHA256:x",
  status: "accepted",
  channel: "prod",
  system: "x86_64-linux",
  variant: "default",
  hostname: "fridge",
  enrolledMs: 1,
  seenMs: 2,
  state: testCheckin().state,
  standing: "current",
  runningRevision: 7,
  cloneSuspected: false,
};
const RELEASE: Json = {
  channel: "prod",
  revision: 7,
  digest: DIGEST,
  publishedMs: 1,
  issued: TEST_AT,
  expires: TEST_AT,
  notes: "",
  mode: "auto",
  signers: ["SHA256:x"],
  targets: [{ system: "x86_64-linux", variant: "default", storePath: testStorePath("x"), paths: 3, narSize: 1 }],
};
const COUNTS: Json = Object.fromEntries(STANDINGS.map((standing) => [standing, 0]));
const FLEET: Json = {
  fleet: "default",
  serverMs: 1,
  channels: [{ channel: "prod", head: RELEASE, devices: COUNTS }],
  devices: COUNTS,
};
const PROGRESS: Json = {
  channel: "prod",
  revision: 7,
  digest: DIGEST,
  isHead: true,
  counts: COUNTS,
  notable: [DEVICE],
};

const ROWS = [
  ["DeviceRow()", DeviceRow, DEVICE],
  ["Fleet()", Fleet, FLEET],
  ["ReleaseProgress()", ReleaseProgress, PROGRESS],
  ["DevicePage()", DevicePage, { devices: [DEVICE], next: "fridge-007" }],
  ["ReleasePage()", ReleasePage, { releases: [RELEASE], next: null }],
] as const;

for (const [name, parser, value] of ROWS) {
  Deno.test(`${name} reads an answer, and one of a newer server without what it does not know`, () => {
    assert.deepEqual(parser(value, "answer"), value);
    assert.deepEqual(parser({ ...value as Record<string, Json>, novelty: 1 }, "answer"), value);
  });

  Deno.test(`${name} refuses an answer that lacks any of its keys`, () => {
    for (const key of Object.keys(value)) {
      const { [key]: _, ...less } = value as Record<string, Json>;
      assert.throws(() => parser(less, "answer"), SchemaError, key);
    }
  });
}

Deno.test("DeviceRow() takes a device that was never seen, in every status and standing", () => {
  const unseen = { ...DEVICE as Record<string, Json>, seenMs: null, state: null, runningRevision: null };
  for (const status of DEVICE_STATUSES) DeviceRow(withField(unseen, "status", status), "row");
  for (const standing of STANDINGS) DeviceRow(withField(unseen, "standing", standing), "row");
  assert.throws(() => DeviceRow(withField(unseen, "status", "lost"), "row"), /row\.status/);
});

Deno.test("DevicePage() has at most 200 devices", () => {
  const page = (count: number): Json => ({ devices: Array<Json>(count).fill(DEVICE), next: null });
  DevicePage(page(PAGE_MAX), "page");
  assert.throws(() => DevicePage(page(PAGE_MAX + 1), "page"), /page\.devices must have 0 to 200 items/);
});
