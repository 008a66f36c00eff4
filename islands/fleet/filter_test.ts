import { OtaError } from "@nix-ota/common";
import assert from "node:assert/strict";
import { hrefOf, NO_FILTER, parseFilter } from "./filter.ts";

Deno.test("parseFilter() reads what hrefOf() writes", () => {
  const filters = [
    NO_FILTER,
    { channel: "prod", standing: null, after: null },
    { channel: "prod", standing: "no_target", after: "kiosk-1" },
  ] as const;
  for (const filter of filters) {
    assert.deepEqual(parseFilter(new URL(hrefOf(filter), "http://x").searchParams), filter);
  }
  assert.equal(hrefOf(NO_FILTER), "/");
  assert.equal(hrefOf({ ...NO_FILTER, standing: "failed" }), "/?standing=failed#devices");
});

Deno.test("parseFilter() takes an empty value for none, and refuses what cannot be", () => {
  assert.deepEqual(parseFilter(new URLSearchParams("channel=&standing=&x=1")), NO_FILTER);
  for (const query of ["standing=FAILED", "channel=../x", "after=%00"]) {
    assert.throws(() => parseFilter(new URLSearchParams(query)), (error) => {
      assert.ok(error instanceof OtaError);
      assert.equal(error.code, "request_invalid");
      return true;
    }, query);
  }
});
