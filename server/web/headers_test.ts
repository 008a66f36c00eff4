import assert from "node:assert/strict";
import { CONTENT_SECURITY_POLICY, PAGE_HEADERS } from "./headers.ts";

Deno.test("the policy of pages allows nothing inline, nothing from elsewhere and no markup made by scripts", () => {
  const directives = Object.fromEntries(
    CONTENT_SECURITY_POLICY.split("; ").map((one) => [one.slice(0, one.indexOf(" ")), one.slice(one.indexOf(" ") + 1)]),
  );
  assert.equal(directives["default-src"], "'none'");
  assert.equal(directives["script-src"], "'self'");
  assert.equal(directives["style-src"], "'self'");
  assert.equal(directives["base-uri"], "'none'");
  assert.equal(directives["frame-ancestors"], "'none'");
  assert.equal(directives["require-trusted-types-for"], "'script'");
  assert.equal(directives["trusted-types"], "'none'");
  assert.doesNotMatch(CONTENT_SECURITY_POLICY, /unsafe|nonce|https?:|\*|data:/);
});

Deno.test("pages are not kept, framed, sniffed or told to others", () => {
  assert.equal(PAGE_HEADERS["cache-control"], "no-store");
  assert.equal(PAGE_HEADERS["x-content-type-options"], "nosniff");
  assert.equal(PAGE_HEADERS["referrer-policy"], "no-referrer");
  assert.equal(PAGE_HEADERS["cross-origin-opener-policy"], "same-origin");
});
