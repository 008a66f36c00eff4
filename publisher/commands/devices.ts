/**
 * `nix-ota devices`: lists devices, lets them in, keeps them out.
 * @module
 */
import { FINGERPRINT_PATTERN, Name, type Standing, STANDINGS } from "@nix-ota/common";
import { CONNECTION_OPTIONS, openApi } from "../connection.ts";
import { type CommandSpec, type Context, parseOption, quoted, type Raw } from "../context.ts";
import { DEVICE_COLUMNS, deviceCells } from "../device_view.ts";
import { EXIT, usageError } from "../errors.ts";
import { decideDevice, DEVICES_MAX, readDevice, readDevices } from "../operator_api.ts";

/** Lists devices. */
export const devices: CommandSpec = {
  name: "devices",
  summary: "list devices; accept or reject new ones",
  options: [
    ...CONNECTION_OPTIONS,
    { flags: "--channel <name>", about: "only those on this channel" },
    { flags: "--standing <standing>", about: `only those that are ${STANDINGS.join(", ")}` },
  ],
  examples: [
    { about: "Who needs me?", command: "nix-ota devices --standing failed" },
    { about: "Who wants to come in?", command: "nix-ota devices --standing pending" },
    { about: "Let one in", command: "nix-ota devices accept fridge-007 --fingerprint SHA256:…" },
  ],
  run: list,
};

/** Lets a device in. */
export const devicesAccept: CommandSpec = decision("accept", "let a new device in, or one that was rejected");

/** Keeps a device out. */
export const devicesReject: CommandSpec = decision("reject", "keep a device out; it gets nothing any more");

async function list(raw: Raw, context: Context): Promise<number> {
  const { ui, now } = context;
  const typed = { channel: raw.text("channel"), standing: raw.text("standing") };
  const channel = typed.channel === undefined ? null : parseOption("--channel", typed.channel, Name);
  const standing = typed.standing === undefined ? null : parseOption("--standing", typed.standing, parseStanding);
  const api = await openApi(raw, context);
  const found = await readDevices(api, { channel, standing });
  const { style } = ui;
  if (found.length === 0) ui.result([emptyLine({ channel, standing })]);
  else ui.table(DEVICE_COLUMNS, found.map((device) => deviceCells(device, { nowMs: now(), style })));
  if (found.length >= DEVICES_MAX) ui.step("warn", "devices", `only the first ${DEVICES_MAX} are listed`);
  const pending = found.filter((device) => device.standing === "pending");
  if (pending.length > 0) {
    ui.result(["", "To let one in, compare its fingerprint with what nix-ota-agent status shows on the device:"]);
    ui.result(
      pending.slice(0, 10).map(({ deviceId, fingerprint }) =>
        `  nix-ota devices accept ${deviceId} --fingerprint ${fingerprint}`
      ),
    );
  }
  ui.data({ devices: found });
  return EXIT.ok;
}

function parseStanding(text: string, at: string): Standing {
  const found = STANDINGS.find((one) => one === text.replace("-", "_"));
  if (found !== undefined) return found;
  throw usageError(`${at} must be one of ${STANDINGS.join(", ")}, found ${quoted(text)}`);
}

function emptyLine({ channel, standing }: { channel: string | null; standing: Standing | null }): string {
  const where = channel === null ? "" : ` on channel ${channel}`;
  return standing === null ? `No device${where} yet` : `No device${where} is ${standing.replace("_", " ")}`;
}

function decision(verb: "accept" | "reject", summary: string): CommandSpec {
  return {
    name: `devices ${verb}`,
    summary,
    args: [{ name: "<name>", about: "name of the device" }],
    options: [
      ...CONNECTION_OPTIONS,
      { flags: "--fingerprint <fingerprint>", about: "of the device's key, SHA256:…, as the device itself shows it" },
    ],
    examples: [{ about: "By its fingerprint", command: `nix-ota devices ${verb} fridge-007 --fingerprint SHA256:…` }],
    run: (raw, context) => decide(verb, raw, context),
  };
}

async function decide(verb: "accept" | "reject", raw: Raw, context: Context): Promise<number> {
  const deviceId = parseOption("the name of the device", raw.args[0] ?? "", Name);
  const typed = raw.text("fingerprint");
  if (typed !== undefined && !FINGERPRINT_PATTERN.test(typed)) {
    throw usageError(`--fingerprint must be SHA256: and 43 characters, found ${quoted(typed)}`);
  }
  const api = await openApi(raw, context);
  if (typed === undefined) {
    const { fingerprint } = await readDevice(api, deviceId);
    throw usageError(
      `--fingerprint is missing: the server knows "${deviceId}" by ${fingerprint} (compare it with what ` +
        "nix-ota-agent status shows on the device, and give it if they are the same)",
    );
  }
  const device = await decideDevice(api, deviceId, { decision: verb, fingerprint: typed });
  context.ui.result([`${device.deviceId} is ${device.status}`]);
  context.ui.data(device);
  return EXIT.ok;
}
