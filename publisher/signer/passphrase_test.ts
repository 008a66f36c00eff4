import assert from "node:assert/strict";
import { checkNewPassphrase } from "./passphrase.ts";

Deno.test("checkNewPassphrase() wants at least 8 characters and does not quote them", () => {
  assert.equal(checkNewPassphrase("12345678"), "12345678");
  assert.throws(
    () => checkNewPassphrase("1234567"),
    (error) => error instanceof Error && !error.message.includes("1234567"),
  );
});
