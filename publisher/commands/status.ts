/**
 * `nix-ota status`: the fleet at a glance.
 * @module
 */
import type { ChannelRow } from "@nix-ota/common";
import { CONNECTION_OPTIONS, openApi } from "../connection.ts";
import type { CommandSpec, Context, Raw } from "../context.ts";
import { formatAgo } from "../device_view.ts";
import { EXIT } from "../errors.ts";
import { readFleet } from "../operator_api.ts";
import type { Style } from "../ui/style.ts";
import type { Cell, Column } from "../ui/table.ts";

/** The command. */
export const status: CommandSpec = {
  name: "status",
  summary: "show the channels and how far their devices are",
  options: CONNECTION_OPTIONS,
  examples: [
    { about: "The fleet", command: "nix-ota status --server https://ota.example.org --token-file ./token" },
    { about: "For a script", command: "nix-ota status --json | jq .devices.failed" },
  ],
  run,
};

const COLUMNS: readonly Column[] = [
  { heading: "CHANNEL", flexible: true },
  { heading: "REVISION", right: true },
  { heading: "PUBLISHED" },
  { heading: "CURRENT", right: true },
  { heading: "UPDATING", right: true },
  { heading: "WAITING", right: true },
  { heading: "FAILED", right: true },
  { heading: "NO TARGET", right: true },
];

async function run(raw: Raw, context: Context): Promise<number> {
  const { ui } = context;
  const api = await openApi(raw, context);
  const fleet = await readFleet(api);
  const { style } = ui;
  if (fleet.channels.length === 0) {
    ui.result([`The fleet ${fleet.fleet} has no channel yet: the first publish makes one`]);
  } else {
    ui.table(COLUMNS, fleet.channels.map((channel) => cells(channel, { nowMs: fleet.serverMs, style })));
  }
  const { pending, failed, no_target: noTarget } = fleet.devices;
  const hints = [
    ...hint(failed, "failed", "failed"),
    ...hint(noTarget, "on a channel that has nothing for their kind", "no_target"),
    ...hint(pending, "waiting to be accepted", "pending"),
  ];
  if (hints.length > 0) ui.result(["", ...hints]);
  ui.data(fleet);
  return EXIT.ok;
}

function hint(count: number, what: string, standing: string): readonly string[] {
  if (count === 0) return [];
  return [
    `${count} ${count === 1 ? "device is" : "devices are"} ${what}: nix-ota devices --standing ${standing}`.replace(
      /(is|are) failed/,
      "failed",
    ),
  ];
}

function cells(
  { channel, head, devices }: ChannelRow,
  { nowMs, style }: { nowMs: number; style: Style },
): readonly Cell[] {
  const count = (number: number, paint: (text: string) => string): Cell => ({
    text: String(number),
    paint: number === 0 ? style.dim : paint,
  });
  return [
    { text: channel, paint: style.bold },
    head === null ? "-" : String(head.revision),
    head === null ? "-" : formatAgo(head.publishedMs, nowMs),
    count(devices.current, style.green),
    count(devices.updating, style.cyan),
    count(devices.waiting, (text) => text),
    count(devices.failed, style.red),
    count(devices.no_target, style.yellow),
  ];
}
