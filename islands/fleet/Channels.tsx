import type { ChannelRow, ReleaseRow } from "@nix-ota/common";
import { formatBytes } from "@nix-ota/common";
import type { JSX } from "preact";
import { Fingerprint } from "./Fingerprint.tsx";
import { StandingBar } from "./StandingBar.tsx";
import { When } from "./When.tsx";
import { count, participants, plain } from "./words.ts";

/** Every channel: its current release and how far its devices are. */
export function Channels({ channels, nowMs }: { channels: readonly ChannelRow[]; nowMs: number }): JSX.Element {
  return (
    <div class="channels">
      {channels.map((channel) => <Channel key={channel.channel} row={channel} nowMs={nowMs} />)}
    </div>
  );
}

function Channel({ row, nowMs }: { row: ChannelRow; nowMs: number }): JSX.Element {
  const total = participants(row.devices);
  const percent = total === 0 ? null : Math.floor(row.devices.current / total * 100);
  const id = `channel-${row.channel}`;
  return (
    <section class="card channel" aria-labelledby={id}>
      <header>
        <h2 id={id}>
          {row.channel} <small>{row.head ? `release ${row.head.revision}` : "no release yet"}</small>
        </h2>
        {percent !== null && (
          <p class="percent" title="Devices that run the current release">
            {percent}
            <small>%</small>
          </p>
        )}
      </header>
      {row.head && <Head release={row.head} nowMs={nowMs} />}
      {total > 0 && <StandingBar counts={row.devices} />}
      {total === 0 && <p class="quiet">No device follows this channel yet.</p>}
    </section>
  );
}

function Head({ release, nowMs }: { release: ReleaseRow; nowMs: number }): JSX.Element {
  const largest = Math.max(0, ...release.targets.map((target) => target.narSize));
  return (
    <>
      {release.notes !== "" && <p class="notes">{plain(release.notes, 300)}</p>}
      <dl class="facts">
        <div>
          <dt>Published</dt>
          <dd>
            <When atMs={release.publishedMs} nowMs={nowMs} />
          </dd>
        </div>
        <div>
          <dt>Signed by</dt>
          <dd>{release.signers.map((signer) => <Fingerprint key={signer} value={signer} />)}</dd>
        </div>
        <div>
          <dt>Builds</dt>
          <dd>{release.targets.length}, {formatBytes(largest)}</dd>
        </div>
      </dl>
    </>
  );
}

/** The devices of every channel, in words. */
export function fleetWords(channels: readonly ChannelRow[], devices: number): string {
  if (channels.length === 0) return "nothing here yet";
  return `${count(devices, "device")} in ${count(channels.length, "channel")}`;
}
