import assert from "node:assert/strict";
import { classifyNixError } from "./nix_errors.ts";
import { createProgressReader } from "./nix_output.ts";

/** What real Nix said, by the case's name, and the reason that it has to lead to. */
const CASES: readonly (readonly [name: string, reason: string])[] = [
  ["bad-signature", "signature_untrusted"],
  ["connection-cut", "cache_unreachable"],
  ["corrupted-nar", "content_corrupt"],
  ["dependency-narinfo-404", "path_missing"],
  ["disk-full", "insufficient_space"],
  ["interrupted", "interrupted"],
  ["nar-401", "path_missing"], // Nix says the same of 401, 403 and 404.
  ["nar-403", "path_missing"],
  ["nar-404", "path_missing"],
  ["nar-429", "cache_error"],
  ["nar-500", "cache_error"],
  ["narinfo-401", "path_missing"],
  ["narinfo-403", "path_missing"],
  ["narinfo-404", "path_missing"],
  ["narinfo-500", "cache_error"],
  ["no-keys", "signature_untrusted"],
  ["no-signature", "signature_untrusted"],
  ["other-store-directory", "cache_error"],
  ["path-info-missing", "path_missing"],
  ["profile-set-missing-path", "path_missing"],
  ["refused-first-contact", "cache_unreachable"],
  ["refused", "cache_unreachable"],
  ["stalled-body", "cache_stalled"],
  ["stalled-header", "cache_stalled"],
  ["truncated-nar", "content_corrupt"],
  ["unknown-host", "cache_unreachable"],
  ["untrusted-key", "signature_untrusted"],
  ["verify-path-missing", "path_missing"],
  ["wrong-nar-hash", "signature_untrusted"],
  ["wrong-nar-size", "signature_untrusted"],
];

async function messagesOf(folder: string, name: string): Promise<readonly string[]> {
  const text = await Deno.readTextFile(new URL(`./fixtures/${folder}/${name}.txt`, import.meta.url));
  const reader = createProgressReader();
  for (const line of text.split("\n")) if (line !== "") reader.read(line);
  return reader.messages();
}

for (const folder of ["nix", "nix-2.34"]) {
  for (const [name, reason] of CASES) {
    Deno.test(`classifyNixError() says ${reason} of ${folder}/${name}`, async () => {
      const failure = classifyNixError(await messagesOf(folder, name));
      assert.equal(failure.reason, reason, failure.line);
      assert.ok(!failure.line.includes("\u001b") && !failure.line.includes("@nix"), failure.line);
    });
  }
}

Deno.test("classifyNixError() names the path that no cache has", async () => {
  const { line } = classifyNixError(await messagesOf("nix", "narinfo-404"));
  assert.match(line, /\/nix\/store\/[0-9a-z]{32}-nixos-system/);
});

Deno.test("classifyNixError() understands what older and other versions say", async (t) => {
  const cases: readonly (readonly [string, string])[] = [
    ["error: cannot add path '/nix/store/x' because it lacks a valid signature", "signature_untrusted"],
    ["error: cannot add path '/nix/store/x' because it lacks a signature by a trusted key", "signature_untrusted"],
    ["error: executing SQLite statement 'insert': database or disk is full", "insufficient_space"],
    ["error: creating directory '/nix/store/.tmp': Read-only file system", "store_read_only"],
    ["error: opening SQLite database: database disk image is malformed", "store_corrupt"],
    ["error: 'https://c' does not appear to be a binary cache", "cache_error"],
    ["error: unable to download 'https://c/nix-cache-info': HTTP error 401", "cache_denied"],
    ["error: NAR hash mismatch in '/nix/store/x'", "content_corrupt"],
    ["something entirely new", "fetch_failed"],
    ["", "fetch_failed"],
  ];
  for (const [said, reason] of cases) {
    await t.step(said || "nothing", () => assert.equal(classifyNixError([said]).reason, reason));
  }
});

Deno.test("classifyNixError() puts the device's own trouble before what follows from it", () => {
  const said = [
    "error: unable to download 'https://c/x': HTTP error 500",
    "error: writing to file: No space left on device",
  ];
  assert.equal(classifyNixError(said).reason, "insufficient_space");
  assert.equal(classifyNixError(said.toReversed()).reason, "insufficient_space");
});
