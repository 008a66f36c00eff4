import assert from "node:assert/strict";
import { acceptCommand, agentConfig, publishCommand, shellWord } from "./command.ts";

Deno.test("shellWord() leaves plain words as they are and quotes everything a shell could act on", async (t) => {
  const cases: [text: string, word: string][] = [
    ["kiosk-001", "kiosk-001"],
    ["SHA256:ab+/9=", "SHA256:ab+/9="],
    ["https://ota.example.org:8443", "https://ota.example.org:8443"],
    ["", "''"],
    ["a b", "'a b'"],
    ["$(reboot)", "'$(reboot)'"],
    ["`id`;rm -rf /", "'`id`;rm -rf /'"],
    ["it's", "'it'\\''s'"],
    ["--yes", "'--yes'"],
    ["a\nreboot\n", "'a reboot'"],
    ["\u001b[2Ja\u202e", "a"],
  ];
  for (const [text, word] of cases) await t.step(JSON.stringify(text), () => assert.equal(shellWord(text), word));
});

Deno.test("shellWord() means the same text to a real shell", async () => {
  const text = 'it\'s $HOME `id` "x" \\ *';
  const { stdout } = await new Deno.Command("sh", { args: ["-c", `printf %s ${shellWord(text)}`] }).output();
  assert.equal(new TextDecoder().decode(stdout), text);
});

Deno.test("acceptCommand() is one line whatever a device sends", () => {
  const device = { deviceId: "kiosk-001", fingerprint: "SHA256:x'\nreboot" };
  assert.equal(
    acceptCommand(device, "https://ota.example.org"),
    "nix-ota devices accept kiosk-001 --fingerprint 'SHA256:x'\\'' reboot' --server https://ota.example.org --token-file ./publish-token",
  );
});

Deno.test("the first steps carry the server's own address and channel", () => {
  assert.match(
    publishCommand("https://ota.example.org", "edge"),
    /--server https:\/\/ota\.example\.org .*\n.*--channel edge /,
  );
  assert.deepEqual(
    Object.keys(JSON.parse(agentConfig("https://ota.example.org", "edge"))),
    ["server", "channel", "deviceId", "publicKey", "healthCmd"],
  );
});
