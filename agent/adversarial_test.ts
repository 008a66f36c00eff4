import assert from "node:assert/strict";
import {
  encodeUtf8,
  ENVELOPE_CONTENT_TYPE,
  type EnvelopeSignature,
  formatEnvelope,
  formatRelease,
  generateKey,
  type Release,
  signEnvelope,
  type Signer,
} from "@nix-ota/common";
import type { Config } from "./config.ts";
import { CHANNEL, createFleet, fakeReleaseDocument } from "./fake/device.ts";
import { type Handler, type Loopback, openLoopback } from "./fake/loopback.ts";
import { fakeSystem } from "./fake/world.ts";

const SPEC = fakeSystem("new");
/** Nothing that a server does may take the device longer. */
const PATIENCE_MS = 10_000;

const fleet = await createFleet();
const stranger = (await generateKey()).signer;

function documentOf(changes: Partial<Release> = {}, revision = 7): Promise<Release> {
  return fakeReleaseDocument(fleet, { revision, spec: SPEC }).then((release) => ({ ...release, ...changes }));
}

async function sign(
  release: Release,
  signers: readonly Signer[] = [fleet.releaseKey],
): Promise<Uint8Array<ArrayBuffer>> {
  return encodeUtf8(formatEnvelope(await signEnvelope("release", formatRelease(release), signers)));
}

function json(value: unknown, init: ResponseInit = {}): Response {
  return new Response(JSON.stringify(value), { headers: { "content-type": "application/json" }, ...init });
}

function envelopeResponse(body: BodyInit): Response {
  return new Response(body, { headers: { "content-type": ENVELOPE_CONTENT_TYPE } });
}

const DIRECTIVE = { v: 1, nonce: "n1", serverTime: "2026-06-01T00:00:00Z", pollAfterSeconds: 60, root: 0 };

function offerOf(revision: number, digest = `sha256:${String(revision).padStart(64, "0")}`): Record<string, unknown> {
  return { channel: CHANNEL, revision, digest, stage: true, activate: true, reason: "go on" };
}

/** A server that offers revision 7 and serves what it is told to. */
function serving(release: () => Response | Promise<Response>, revision = 7): Handler {
  return (request) => {
    const { pathname } = new URL(request.url);
    if (pathname === "/checkin") return json({ ...DIRECTIVE, offer: offerOf(revision) });
    if (pathname.includes("/releases/")) return release();
    return new Response("not here", { status: 404 });
  };
}

async function within<T>(work: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error("the agent hangs")), PATIENCE_MS);
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

function assertUntouched({ programs }: Loopback): void {
  const acts = programs.filter((one) => !/^(df|nix path-info)\b/.test(one) && !one.startsWith("df"));
  assert.deepEqual(acts, [], "the device acted");
}

/** After whatever was done to it, the agent still takes a good release on. */
async function assertStillWell(device: Loopback, config: Partial<Config> = {}): Promise<void> {
  const signers = (config.threshold ?? 1) > 1 ? [fleet.releaseKey, second] : [fleet.releaseKey];
  const good = await sign(await documentOf({}, 90), signers);
  device.serve(serving(() => envelopeResponse(good), 90));
  await within(device.agent.cycle());
  assert.ok(device.programs.some((one) => one.startsWith("nix-store")), "a good release was not taken on afterwards");
}

const second = (await generateKey()).signer;
const BOTH: Partial<Config> = { publicKeys: [fleet.releaseKey.publicKey, second.publicKey], threshold: 2 };

async function signedTwiceBy(signer: Signer, keyids: readonly string[]): Promise<Uint8Array<ArrayBuffer>> {
  const envelope = await signEnvelope("release", formatRelease(await documentOf()), [signer]);
  const [signature] = envelope.signatures;
  const signatures = keyids.map((keyid): EnvelopeSignature => ({ keyid, sig: signature?.sig ?? new Uint8Array() }));
  return encodeUtf8(formatEnvelope({ ...envelope, signatures }));
}

async function asOtherKind(): Promise<Uint8Array<ArrayBuffer>> {
  return encodeUtf8(
    formatEnvelope(await signEnvelope("checkin", formatRelease(await documentOf()), [fleet.releaseKey])),
  );
}

async function withTypeSwapped(): Promise<Uint8Array<ArrayBuffer>> {
  const envelope = await signEnvelope("checkin", formatRelease(await documentOf()), [fleet.releaseKey]);
  return encodeUtf8(formatEnvelope({ ...envelope, payloadType: "application/vnd.nix-ota.release.v1+json" }));
}

async function envelopeText(change: (text: string) => string): Promise<Uint8Array<ArrayBuffer>> {
  return encodeUtf8(change(new TextDecoder().decode(await sign(await documentOf()))));
}

async function payloadText(change: (text: string) => string): Promise<Uint8Array<ArrayBuffer>> {
  const payload = encodeUtf8(change(new TextDecoder().decode(formatRelease(await documentOf()))));
  return encodeUtf8(formatEnvelope(await signEnvelope("release", payload, [fleet.releaseKey])));
}

const EXPIRED = { issued: "2026-01-01T00:00:00Z", expires: "2026-01-02T00:00:00Z" };

/** A release that must be refused, with the code of the step that refuses it. */
const RELEASES: readonly (readonly [string, () => Promise<BodyInit>, string, Partial<Config>?])[] = [
  [
    "one key's signature twice under a threshold of 2",
    () => signedTwiceBy(fleet.releaseKey, ["a", "a"]),
    "signatures_insufficient",
    BOTH,
  ],
  [
    "one key's signature under two names",
    () => signedTwiceBy(fleet.releaseKey, ["a", "b"]),
    "signatures_insufficient",
    BOTH,
  ],
  ["one of two needed signatures", async () => await sign(await documentOf()), "signatures_insufficient", BOTH],
  ["a stranger's signature", async () => await sign(await documentOf(), [stranger]), "signatures_insufficient"],
  [
    "a stranger's signature with the right key's name",
    () => signedTwiceBy(stranger, ["SHA256:right"]),
    "signatures_insufficient",
  ],
  ["a release signed as a check-in", asOtherKind, "payload_type_unexpected"],
  ["a check-in's signature on a release", withTypeSwapped, "signatures_insufficient"],
  ["another fleet", async () => await sign(await documentOf({ fleet: "other" })), "fleet_mismatch"],
  ["another channel", async () => await sign(await documentOf({ channel: "beta" })), "channel_mismatch"],
  ["another system", async () => await sign(await documentOf()), "no_target", { system: "aarch64-linux" }],
  ["another variant", async () => await sign(await documentOf()), "no_target", { variant: "other" }],
  ["an unknown root", async () => await sign(await documentOf({ root: 1 })), "root_unknown"],
  ["an expired release", async () => await sign(await documentOf(EXPIRED)), "release_expired"],
  ["nothing at all", () => Promise.resolve(""), "json_not_canonical"],
  ["half an envelope", async () => (await sign(await documentOf())).slice(0, 300), "json_not_canonical"],
  ["an envelope with blanks", () => envelopeText((text) => text.replace(":", ": ")), "json_not_canonical"],
  ["an envelope with a byte-order mark", () => envelopeText((text) => `\ufeff${text}`), "json_not_canonical"],
  [
    "an envelope with a key twice",
    () => envelopeText((text) => text.replace("{", '{"payloadType":"x",')),
    "json_not_canonical",
  ],
  ["an envelope with a further key", () => envelopeText((text) => text.replace("{", '{"more":1,')), "envelope_invalid"],
  [
    "an envelope with altered base64",
    () => envelopeText((text) => text.replace(/("payload":"..)./, "$1_")),
    "base64_invalid",
  ],
  ["bytes that are no text", () => Promise.resolve(Uint8Array.of(0xff, 0xfe, 0x00)), "encoding_invalid"],
  ["deep nesting", () => Promise.resolve("[".repeat(200_000)), "json_not_canonical"],
  ["deep nesting that ends well", () => Promise.resolve("[".repeat(5000) + "]".repeat(5000)), "json_not_canonical"],
  ["a payload with a further key", () => payloadText((text) => text.replace("{", '{"more":1,')), "payload_invalid"],
  [
    "a payload with a revision in another form",
    () => payloadText((text) => text.replace('"revision":7', '"revision":7.0')),
    "payload_not_canonical",
  ],
  [
    "a payload with an enormous revision",
    () => payloadText((text) => text.replace('"revision":7', '"revision":9007199254740993')),
    "payload_not_canonical",
  ],
  [
    "a payload with a substituter that turns signatures off",
    () => payloadText((text) => text.replace("cache.example.org", "cache.example.org?trusted=1")),
    "payload_invalid",
  ],
  [
    "a payload whose store path climbs out",
    () => payloadText((text) => text.replace(SPEC.storePath, "/nix/store/../../etc/passwd")),
    "payload_invalid",
  ],
];

for (const [what, make, code, config] of RELEASES) {
  Deno.test(`a server that serves ${what} gets ${code} and nothing else`, async () => {
    await using device = await openLoopback(fleet, config);
    const body = await make();
    device.serve(serving(() => envelopeResponse(body)));
    await within(device.agent.cycle());
    const { last } = device.agent.situation.memory;
    assert.deepEqual([last?.result, last?.reason], ["refused", code], device.logged.join("\n"));
    assertUntouched(device);
    const asked = device.requests.length;
    await within(device.agent.cycle());
    assert.equal(
      device.requests.slice(asked).filter((one) => one.includes("/releases/")).length,
      0,
      "it asks again at once",
    );
    if (config?.system === undefined && config?.variant === undefined) await assertStillWell(device, config);
  });
}

Deno.test("a server that goes back to an older revision gets revision_too_old", async () => {
  await using device = await openLoopback(fleet);
  device.serve(serving(async () => envelopeResponse(await sign(await documentOf({}, 9)))));
  await within(device.agent.cycle());
  device.programs.length = 0;
  device.serve(serving(async () => envelopeResponse(await sign(await documentOf({}, 8))), 10));
  await within(device.agent.cycle());
  assert.equal(device.agent.situation.memory.last?.reason, "revision_too_old");
  assertUntouched(device);
});

Deno.test("a server that shows two contents of one revision gets equivocation", async () => {
  await using device = await openLoopback(fleet);
  device.serve(serving(async () => envelopeResponse(await sign(await documentOf({}, 9)))));
  await within(device.agent.cycle());
  device.programs.length = 0;
  device.serve(serving(async () => envelopeResponse(await sign(await documentOf({ notes: "another" }, 9))), 10));
  await within(device.agent.cycle());
  assert.equal(device.agent.situation.memory.last?.reason, "equivocation");
  assertUntouched(device);
});

Deno.test("an offer of one digest with another good release behind it leads to the release, judged by itself", async () => {
  await using device = await openLoopback(fleet);
  const envelope = await sign(await documentOf({}, 9));
  device.serve(serving(() => envelopeResponse(envelope), 8));
  await within(device.agent.cycle());
  const floor = device.agent.situation.memory.floors["default/prod"];
  assert.equal(floor?.revision, 9);
});

function endless(): ReadableStream<Uint8Array> {
  return new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(64 * 1024).fill(0x20)) });
}

function slow(): ReadableStream<Uint8Array> {
  let timer: ReturnType<typeof setInterval> | undefined;
  return new ReadableStream({
    start: (controller) => void (timer = setInterval(() => controller.enqueue(Uint8Array.of(0x20)), 50)),
    cancel: () => clearInterval(timer),
  });
}

function zipBomb(): Response {
  const zeros = new ReadableStream({
    start(controller) {
      for (let n = 0; n < 256; n++) controller.enqueue(new Uint8Array(64 * 1024));
      controller.close();
    },
  });
  return new Response(zeros.pipeThrough(new CompressionStream("gzip")), {
    headers: { "content-type": ENVELOPE_CONTENT_TYPE, "content-encoding": "gzip" },
  });
}

/** Answers that bring no release, whatever is asked for. */
const ANSWERS: readonly (readonly [string, () => Response | Promise<Response>])[] = [
  ["never ends", () => new Response(endless(), { headers: { "content-type": ENVELOPE_CONTENT_TYPE } })],
  ["comes a byte at a time", () => new Response(slow(), { headers: { "content-type": ENVELOPE_CONTENT_TYPE } })],
  ["never comes", () => new Promise<Response>((resolve) => setTimeout(() => resolve(new Response("late")), 1500))],
  ["unpacks to 16 MiB", zipBomb],
  ["leads elsewhere", () => new Response(null, { status: 302, headers: { location: "http://127.0.0.1:1/" } })],
  ["leads to itself", () => new Response(null, { status: 307, headers: { location: "/checkin" } })],
  [
    "is a portal's page",
    () => new Response("<html>Accept our terms</html>", { headers: { "content-type": "text/html" } }),
  ],
  ["has no type", () => new Response("{}", { headers: { "content-type": "" } })],
  [
    "has huge headers",
    () => new Response("{}", { headers: { "content-type": "text/plain", "x-a": "x".repeat(300_000) } }),
  ],
  ["is 500", () => new Response("oops", { status: 500 })],
  [
    "is 503 with a Retry-After of a year",
    () => new Response("", { status: 503, headers: { "retry-after": "31536000" } }),
  ],
  [
    "is a problem with a hostile text",
    () => json({ code: "x\u001b[31m", detail: "\u202e".repeat(9999) }, { status: 418 }),
  ],
  ["is 204", () => new Response(null, { status: 204 })],
  ["is 401", () => new Response("", { status: 401 })],
];

for (const [what, answer] of ANSWERS) {
  Deno.test(`a server whose release ${what} delays the device and no more`, async () => {
    await using device = await openLoopback(fleet);
    device.serve(serving(answer));
    await within(device.agent.cycle());
    assertUntouched(device);
    assert.equal(device.agent.situation.state.kind, "idle");
  });

  Deno.test(`a server whose every answer ${what} delays the device and no more`, async () => {
    await using device = await openLoopback(fleet);
    device.serve(answer);
    const contact = await within(device.agent.cycle());
    assert.equal(contact.kind, "failed");
    const delayMs = device.agent.delayAfter(contact);
    assert.ok(delayMs >= 1000 && delayMs <= 86_400_000, `next in ${delayMs} ms`);
    assertUntouched(device);
    await assertStillWell(device);
  });
}

/** Directives that are not as documented. */
const DIRECTIVES: readonly (readonly [string, unknown])[] = [
  ["no poll interval", { ...DIRECTIVE, offer: null, pollAfterSeconds: undefined }],
  ["a poll interval that is null", { ...DIRECTIVE, offer: null, pollAfterSeconds: NaN }],
  ["a negative poll interval", { ...DIRECTIVE, offer: null, pollAfterSeconds: -5 }],
  ["an enormous poll interval", { ...DIRECTIVE, offer: null, pollAfterSeconds: 1e18 }],
  ["a poll interval in words", { ...DIRECTIVE, offer: null, pollAfterSeconds: "soon" }],
  ["no nonce", { ...DIRECTIVE, offer: null, nonce: "" }],
  ["a nonce with a line end", { ...DIRECTIVE, offer: null, nonce: "a\r\nb" }],
  ["an offer that is a list", { ...DIRECTIVE, offer: [] }],
  ["an offer without a digest", { ...DIRECTIVE, offer: { ...offerOf(7), digest: null } }],
  ["an offer of revision 0", { ...DIRECTIVE, offer: offerOf(0) }],
  ["an offer of half a revision", { ...DIRECTIVE, offer: offerOf(7.5) }],
  ["an offer of a channel that climbs out", { ...DIRECTIVE, offer: { ...offerOf(7), channel: "../../etc" } }],
  ["another version", { ...DIRECTIVE, v: 2, offer: null }],
  ["a list", []],
  ["null", null],
  ["nothing known", { hello: "world" }],
];

for (const [what, directive] of DIRECTIVES) {
  Deno.test(`a directive with ${what} is no directive`, async () => {
    await using device = await openLoopback(fleet);
    device.serve(() => json(directive));
    const contact = await within(device.agent.cycle());
    assert.equal(contact.kind, "failed");
    assert.deepEqual(device.requests, ["POST /checkin"]);
    assertUntouched(device);
    await assertStillWell(device);
  });
}

Deno.test("a directive's interval is clamped to 5 s and a day", async () => {
  await using device = await openLoopback(fleet);
  for (
    const [seconds, leastMs, mostMs] of [[1, 4_500, 5_500], [2_000_000, 0.9 * 86_400_000, 1.1 * 86_400_000]] as const
  ) {
    device.serve(() => json({ ...DIRECTIVE, offer: null, pollAfterSeconds: seconds }));
    const delayMs = device.agent.delayAfter(await within(device.agent.cycle()));
    assert.ok(delayMs >= leastMs && delayMs <= mostMs, `${seconds} s became ${delayMs} ms`);
  }
});

Deno.test("an offer for another channel is not even fetched", async () => {
  await using device = await openLoopback(fleet);
  device.serve(() => json({ ...DIRECTIVE, offer: { ...offerOf(7), channel: "beta" } }));
  await within(device.agent.cycle());
  assert.deepEqual(device.requests, ["POST /checkin"]);
});

Deno.test("a read token that would split a header is not sent", async () => {
  await using device = await openLoopback(fleet);
  const seen: (string | null)[] = [];
  device.serve((request) => {
    if (new URL(request.url).pathname === "/checkin") {
      return json({ ...DIRECTIVE, offer: offerOf(7), readToken: "a\r\nx: y" });
    }
    seen.push(request.headers.get("authorization"));
    return new Response("", { status: 404 });
  });
  await within(device.agent.cycle());
  assert.deepEqual(seen, [null]);
});

Deno.test("a server that always says the nonce is stale is asked twice, not for ever", async () => {
  await using device = await openLoopback(fleet);
  let seq = 0;
  device.serve(() => json({ code: "nonce_stale", nonce: "n", seq: seq++ }, { status: 409 }));
  assert.equal((await within(device.agent.cycle())).kind, "failed");
  assert.deepEqual(device.requests, ["POST /checkin", "POST /checkin"]);
});

Deno.test("a server cannot push the check-in number out of reach", async () => {
  await using device = await openLoopback(fleet);
  for (const seq of [2 ** 53 - 1, 1e300, -1, 1.5, "7", null]) {
    device.serve(() => json({ code: "checkin_replayed", nonce: "n", seq }, { status: 409 }));
    await within(device.agent.cycle());
  }
  const stored = JSON.parse(await Deno.readTextFile(device.context.paths.sequence)) as { seq: number };
  assert.ok(stored.seq < 100, `the number is ${stored.seq}`);
  await assertStillWell(device);
});

Deno.test("a server that enrols the device without end is asked a bounded number of times", async () => {
  await using device = await openLoopback(fleet);
  device.serve((request) =>
    new URL(request.url).pathname === "/enroll"
      ? json({ v: 1, status: "accepted", nonce: "n", pollAfterSeconds: 0 })
      : json({ code: "device_unknown" }, { status: 403 })
  );
  assert.equal((await within(device.agent.cycle())).kind, "failed");
  assert.deepEqual(device.requests, ["POST /checkin", "POST /enroll", "POST /checkin"]);
});

Deno.test("a server that invents a new release at every check-in is left after some rounds", async () => {
  await using device = await openLoopback(fleet);
  let revision = 100;
  device.serve((request) => {
    if (new URL(request.url).pathname === "/checkin") revision += 1;
    const digit = (revision % 10).toString();
    if (new URL(request.url).pathname === "/checkin") {
      return json({ ...DIRECTIVE, offer: offerOf(revision, `sha256:${digit.repeat(64)}`) });
    }
    return new Response("", { status: 404 });
  });
  await within(device.agent.cycle());
  assert.ok(device.requests.length <= 20, `${device.requests.length} requests`);
});
