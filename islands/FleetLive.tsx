import type { JSX } from "preact";
import { Channels, fleetWords } from "./fleet/Channels.tsx";
import { Counts } from "./fleet/Counts.tsx";
import { DeviceTable } from "./fleet/DeviceTable.tsx";
import { FirstSteps } from "./fleet/FirstSteps.tsx";
import { Happenings } from "./fleet/Happenings.tsx";
import { LiveMark } from "./fleet/LiveMark.tsx";
import { Pending } from "./fleet/Pending.tsx";
import { Releases } from "./fleet/Releases.tsx";
import { useFleet } from "./fleet/use_fleet.ts";
import type { View } from "./fleet/view.ts";
import { participants } from "./fleet/words.ts";
import { useClock } from "./lib/use_clock.ts";

/** The whole fleet on one page, moving while an update rolls. */
export default function FleetLive(props: { view: View; origin: string }): JSX.Element {
  const view = useFleet(props.view);
  const nowMs = useClock(view.fleet.serverMs);
  const { fleet, filter, pending, releases, happenings } = view;
  const members = participants(fleet.devices);
  const isEmpty = members + fleet.devices.pending + fleet.devices.rejected === 0;
  return (
    <>
      <header class="title">
        <div>
          <h1>Fleet overview</h1>
          <p class="quiet">{fleet.fleet} · {fleetWords(fleet.channels, members)}</p>
        </div>
        <LiveMark madeMs={props.view.fleet.serverMs} />
      </header>
      {isEmpty && (
        <FirstSteps
          origin={props.origin}
          channel={fleet.channels.find(({ head }) => head)?.channel ?? null}
        />
      )}
      <Pending devices={pending} total={fleet.devices.pending} origin={props.origin} nowMs={nowMs} />
      <div class="columns">
        <div class="column">
          {!isEmpty && <Counts counts={fleet.devices} filter={filter} />}
          {fleet.channels.length > 0 && <Channels channels={fleet.channels} nowMs={nowMs} />}
          {!isEmpty && <DeviceTable view={view} nowMs={nowMs} />}
        </div>
        {happenings.length > 0 && (
          <div class="column">
            <Happenings list={happenings} nowMs={nowMs} />
            <Releases releases={releases} nowMs={nowMs} />
          </div>
        )}
      </div>
    </>
  );
}
