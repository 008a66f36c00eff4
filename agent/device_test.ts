import assert from "node:assert/strict";
import { parseDf, parseLoaderDefault } from "./device.ts";

Deno.test("parseDf() reads what df prints, whatever the device is called", async (t) => {
  const GIB = 1024 ** 3;
  const cases: readonly (readonly [string, string, unknown])[] = [
    ["ext4", "Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/sda1 10485760 1 5242880 51% /nix\n", {
      free: 5 * GIB,
      total: 10 * GIB,
    }],
    [
      "a name with blanks",
      "Filesystem 1024-blocks Used Available Capacity Mounted on\n//srv/my share 10485760 1 5242880 51% /nix store\n",
      { free: 5 * GIB, total: 10 * GIB },
    ],
    ["nothing", "", null],
    ["an error", "df: /nix: No such file or directory\n", null],
    ["words for numbers", "x a b c 5% /\n", null],
  ];
  for (const [name, stdout, wanted] of cases) await t.step(name, () => assert.deepEqual(parseDf(stdout), wanted));
});

Deno.test("parseLoaderDefault() finds the generation of systemd-boot's default entry", async (t) => {
  const cases: readonly (readonly [string, number | null])[] = [
    ["timeout 5\ndefault nixos-generation-42.conf\n", 42],
    ["default nixos-generation-42+3.conf\n", 42],
    ["default nixos-generation-42-specialisation-x.conf\n", 42],
    ["default nixos-*\n", null],
    ["default @saved\n", null],
    ["# default nixos-generation-1.conf\n", null],
    ["", null],
  ];
  for (const [text, wanted] of cases) {
    await t.step(JSON.stringify(text), () => assert.equal(parseLoaderDefault(text), wanted));
  }
});
