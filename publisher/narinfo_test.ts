import assert from "node:assert/strict";
import { decodeUtf8, parseCacheKey, verifyEd25519 } from "@nix-ota/common";
import { judgeNarinfo } from "./cache.ts";
import { isContentAddressed } from "./content_address.ts";
import { fingerprintOfPath, type Narinfo, NarinfoError, narUrl, parseNarinfo } from "./narinfo.ts";

/** Signed by real Nix 2.26 with the secret half of {@link KEY}. */
const SIGNED = await Deno.readTextFile(new URL("fixtures/signed.narinfo", import.meta.url));
const KEY = parseCacheKey("fleet-1:eqATni6Qvh1Fpa7b3Cd1XhhKquH40A9IELLwGobmynU=");

Deno.test("parseNarinfo() reads what real Nix wrote", () => {
  const narinfo = parseNarinfo(SIGNED);
  assert.equal(narinfo.storePath, "/nix/store/0nslmnmwc3fzad46s7aw6q4bxcxhissk-nixos-system-testdev-24.11.1");
  assert.equal(narinfo.url, "nar/0rzfbc5s3wfdhj61ly5xxbxygc20aq61x2if3c6pa1b0qmzbsay0.nar.zst");
  assert.equal(narinfo.narHash, "sha256-zUx/7bu4NtCzcz/1TQU/ZWfQw4geOOPcwS1dn1qWkvs=");
  assert.equal(narinfo.narSize, 8816);
  assert.equal(narinfo.fileSize, 3302);
  assert.equal(narinfo.references.length, 5);
  assert.equal(narinfo.ca, null);
  assert.deepEqual(narinfo.signatures.map(({ keyName }) => keyName), ["fleet-1"]);
});

Deno.test("fingerprintOfPath() is what real Nix signed", async () => {
  const narinfo = parseNarinfo(SIGNED);
  const [signature] = narinfo.signatures;
  assert.ok(signature);
  assert.ok(await verifyEd25519(KEY.bytes, fingerprintOfPath(narinfo), signature.sig));
  const shuffled = { ...narinfo, references: narinfo.references.toReversed() };
  assert.ok(await verifyEd25519(KEY.bytes, fingerprintOfPath(shuffled), signature.sig), "references are sorted");
  for (const other of [{ narSize: 8817 }, { references: [] }, { storePath: `${narinfo.storePath}x` }]) {
    assert.ok(!await verifyEd25519(KEY.bytes, fingerprintOfPath({ ...narinfo, ...other }), signature.sig));
  }
});

Deno.test("fingerprintOfPath() writes Nix's form", () => {
  const text = decodeUtf8(fingerprintOfPath({
    storePath: "/nix/store/b-x",
    narHash: "sha256-HDfQGvQL4ugGkd48w99EN3ppmvuxfGjwgJZLL9Bx/BM=",
    narSize: 120,
    references: ["/nix/store/c-z", "/nix/store/a-y"],
  }));
  const hash = "04zwf782yjwnh3q6hz5izfd6jyip8kgw6g6yj43fiqhbyhdd0dqw";
  assert.equal(text, `1;/nix/store/b-x;sha256:${hash};120;/nix/store/a-y,/nix/store/c-z`);
});

Deno.test("parseNarinfo() refuses what is none", async (t) => {
  const without = (key: string): string => SIGNED.replace(new RegExp(`^${key}: .*\n`, "m"), "");
  const rows: [name: string, text: string, says: RegExp][] = [
    ["a page", "<html>", /it is no narinfo/],
    ["nothing", "", /has no NarHash/],
    ["no StorePath", without("StorePath"), /has no StorePath/],
    ["no URL", without("URL"), /has no URL/],
    ["no NarHash", without("NarHash"), /has no NarHash/],
    ["no NarSize", without("NarSize"), /has no NarSize/],
    ["NarSize twice", `${SIGNED}NarSize: 1\n`, /has NarSize twice/],
    ["a negative size", SIGNED.replace("NarSize: 8816", "NarSize: -1"), /a NarSize that is no number/],
    ["a huge size", SIGNED.replace("NarSize: 8816", `NarSize: ${"9".repeat(16)}`), /a NarSize that is no number/],
    ["a FileSize in words", SIGNED.replace("FileSize: 3302", "FileSize: big"), /a FileSize that is no number/],
    [
      "a reference that is none",
      SIGNED.replace(/^References: .*$/m, "References: ../x"),
      /a reference that is no store/,
    ],
    ["a signature without a key", `${SIGNED}Sig: abc\n`, /a damaged signature/],
    ["a short signature", `${SIGNED}Sig: a:AAAA\n`, /a damaged signature/],
    ["65 signatures", SIGNED + (SIGNED.match(/^Sig: .*\n/m)?.[0] ?? "").repeat(64), /more than 64 signatures/],
  ];
  for (const [name, text, says] of rows) {
    await t.step(
      name,
      () =>
        assert.throws(() => parseNarinfo(text), (error) => error instanceof NarinfoError && says.test(error.message)),
    );
  }
  await t.step("but not what it does not know", () => assert.ok(parseNarinfo(`${SIGNED}Future: yes\n`)));
});

Deno.test("narUrl() is beside the narinfo, or where that says", () => {
  assert.equal(narUrl("https://c.org/a", "nar/x.nar?y=1"), "https://c.org/a/nar/x.nar?y=1");
  assert.equal(narUrl("https://c.org", "https://store.org/x"), "https://store.org/x");
});

/** Paths made by real Nix 2.26, one of each way to be content-addressed. */
const ADDRESSED: Pick<Narinfo, "storePath" | "ca" | "references">[] = [
  {
    storePath: "/nix/store/qa1w9gdfrba6jl2r57mb3c43863gqywp-hello.txt",
    ca: "text:sha256:00xyyr3fi8l6hb839bv3f7yb86yjv7xi1cgh1xnhipym4asvb4aq",
    references: [],
  },
  {
    storePath: "/nix/store/3cmrvzmwi8kl03zzg5i25crdy3pjz95w-ref.txt",
    ca: "text:sha256:18gh8j233979r0blaz24aikbwrjgj32sxpdzsydrk89lmg8q5107",
    references: ["/nix/store/qa1w9gdfrba6jl2r57mb3c43863gqywp-hello.txt"],
  },
  {
    storePath: "/nix/store/rkf79g8l9nv68w00j1z80zjn9aw7szx3-flat.txt",
    ca: "fixed:sha256:1xk2hhjr0f2n4adj1h688wlz59xpl86y1r8bd2pjasg8gy16mikb",
    references: [],
  },
  {
    storePath: "/nix/store/57pmlkh2njpgdr5bgbbsxxiwdh5dp5w7-source",
    ca: "fixed:r:sha256:1f1layi40aar7sfj6mbwpp9r02pp8i0zzcv9nxb15zhkdag66bv4",
    references: [],
  },
  {
    storePath: "/nix/store/874bxk683mr7jlmpzvh050g3nzhkmvzf-fixed",
    ca: "fixed:sha1:fd540npwk7x370s4s2jzpx74wf365jjm",
    references: [],
  },
];

const UNSIGNED: Narinfo = { ...parseNarinfo(SIGNED), signatures: [] };

Deno.test("isContentAddressed() computes the names that real Nix gives", async (t) => {
  for (const one of ADDRESSED) {
    const { storePath, ca } = one;
    await t.step(ca ?? "", async () => {
      // Only the recursive form has the NAR hash as its address.
      const narHash = "sha256-ZIvd28Gl7F5z4i/sNyxW2AIn0OYNK2mlr0/MYMZUNK0=";
      const narinfo = { ...UNSIGNED, ...one, narHash: ca?.startsWith("fixed:r:") === true ? sriOf(ca) : narHash };
      assert.equal(await isContentAddressed(narinfo), true);
      assert.equal(await isContentAddressed({ ...narinfo, ca: null }), false);
      assert.equal(await isContentAddressed({ ...narinfo, storePath: storePath.replace(/.$/, "x") }), false);
      assert.equal(
        await isContentAddressed({
          ...narinfo,
          references: [...one.references, "/nix/store/00000000000000000000000000000000-x"],
        }),
        false,
      );
      const [last = ""] = (ca ?? "").slice(-3);
      assert.equal(
        await isContentAddressed({ ...narinfo, ca: (ca ?? "").replace(/.{3}$/, last === "0" ? "111" : "000") }),
        false,
      );
    });
  }
});

function sriOf(ca: string): string {
  return parseNarinfo(SIGNED.replace(/^NarHash: .*$/m, `NarHash: ${ca.slice("fixed:r:".length)}`)).narHash;
}

Deno.test("isContentAddressed() wants the NAR hash to be the address where it is one", async () => {
  const source = { ...UNSIGNED, ...ADDRESSED[3]! };
  assert.equal(await isContentAddressed({ ...source, narHash: UNSIGNED.narHash }), false);
});

Deno.test("isContentAddressed() believes no address of an unknown form", async (t) => {
  for (
    const ca of ["", "fixed", "fixed:r:sha256:", "fixed:blake9:abc", "text:sha1:abc", "text:sha256:eeee", "recursive:x"]
  ) {
    await t.step(JSON.stringify(ca), async () => assert.equal(await isContentAddressed({ ...UNSIGNED, ca }), false));
  }
});

Deno.test("judgeNarinfo() takes what the store has, signed by a key that is named", async (t) => {
  const narinfo = parseNarinfo(SIGNED);
  const local = narinfo;
  const other = parseCacheKey("other-1:eqATni6Qvh1Fpa7b3Cd1XhhKquH40A9IELLwGobmynU=");
  const rows: [name: string, changed: Partial<Narinfo>, keys: readonly typeof KEY[], expected: string | null][] = [
    ["as it is", {}, [KEY], null],
    ["another key besides", {}, [other, KEY], null],
    ["the right key under another name, which Nix would not find", {}, [other], "untrusted"],
    ["no key", {}, [], "untrusted"],
    ["no signature", { signatures: [] }, [KEY], "unsigned"],
    ["another size", { narSize: 1 }, [KEY], "differs"],
    ["other references", { references: [] }, [KEY], "differs"],
    ["another path", { storePath: `${narinfo.storePath}1` }, [KEY], "damaged"],
  ];
  for (const [name, changed, keys, expected] of rows) {
    await t.step(name, async () => {
      const verdict = await judgeNarinfo(local, { ...narinfo, ...changed }, keys);
      assert.equal("kind" in verdict ? verdict.kind : null, expected);
    });
  }
});
