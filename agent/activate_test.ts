import assert from "node:assert/strict";
import { differingInhibitors } from "./activate.ts";

Deno.test("differingInhibitors() names what both systems have and have differently", async (t) => {
  const cases: readonly (readonly [string, string, readonly string[]])[] = [
    ['{"dbus":"dbus","a":1}', '{"dbus":"broker","a":1}', ["dbus"]],
    ['{"dbus":"dbus"}', "{}", []],
    ["{}", '{"dbus":"broker"}', []],
    ["not JSON", '{"dbus":"broker"}', []],
    ["[]", "null", []],
  ];
  for (const [now, then, wanted] of cases) {
    await t.step(`${now} ${then}`, () => assert.deepEqual(differingInhibitors(now, then), wanted));
  }
});
