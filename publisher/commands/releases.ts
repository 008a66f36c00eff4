/**
 * `nix-ota releases`: what was published.
 * @module
 */
import { formatBytes, Name, PAGE_MAX, parseTimestamp, type ReleaseRow } from "@nix-ota/common";
import { CONNECTION_OPTIONS, openApi } from "../connection.ts";
import { type CommandSpec, type Context, parseOption, type Raw, wholeNumber } from "../context.ts";
import { formatAgo } from "../device_view.ts";
import { EXIT } from "../errors.ts";
import { readReleases } from "../operator_api.ts";
import type { Style } from "../ui/style.ts";
import type { Cell, Column } from "../ui/table.ts";

/** The command. */
export const releases: CommandSpec = {
  name: "releases",
  summary: "list what was published, newest first",
  options: [
    ...CONNECTION_OPTIONS,
    { flags: "--channel <name>", about: "only this channel" },
    { flags: "--limit <n>", about: `how many, 1 to ${PAGE_MAX} (default: 20)` },
  ],
  examples: [{ about: "The last five on prod", command: "nix-ota releases --channel prod --limit 5" }],
  run,
};

const COLUMNS: readonly Column[] = [
  { heading: "CHANNEL" },
  { heading: "REVISION", right: true },
  { heading: "PUBLISHED" },
  { heading: "EXPIRES" },
  { heading: "SYSTEM", flexible: true },
  { heading: "SIZE", right: true },
  { heading: "NOTES", flexible: true },
];

async function run(raw: Raw, context: Context): Promise<number> {
  const { ui, now } = context;
  const typed = raw.text("channel");
  const channel = typed === undefined ? null : parseOption("--channel", typed, Name);
  const limit = parseOption("--limit", raw.text("limit") ?? "20", wholeNumber(1, PAGE_MAX));
  const api = await openApi(raw, context);
  const found = await readReleases(api, { channel, before: null, limit });
  const { style } = ui;
  if (found.length === 0) {
    ui.result([channel === null ? "Nothing was published yet" : `Nothing on channel ${channel} yet`]);
  } else ui.table(COLUMNS, found.map((release) => cells(release, { nowMs: now(), style })));
  ui.data({ releases: found });
  return EXIT.ok;
}

function cells(release: ReleaseRow, { nowMs, style }: { nowMs: number; style: Style }): readonly Cell[] {
  const [first, ...others] = release.targets;
  // What every system's name begins with says nothing, and the version at its end would be cut off first.
  const name = (first?.storePath ?? "").replace(/^\/nix\/store\/[^-]*-(?:nixos-system-)?/, "");
  const expiresMs = parseTimestamp(release.expires) ?? 0;
  return [
    { text: release.channel, paint: style.bold },
    String(release.revision),
    formatAgo(release.publishedMs, nowMs),
    expiresMs > nowMs ? release.expires.slice(0, 10) : { text: "expired", paint: style.yellow },
    others.length === 0 ? name : `${name} and ${others.length} more`,
    formatBytes(release.targets.reduce((sum, { narSize }) => sum + narSize, 0)),
    release.notes,
  ];
}
