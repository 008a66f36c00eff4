import type { JSX } from "preact";
import { DeviceLine } from "./DeviceLine.tsx";
import { hrefOf } from "./filter.ts";
import { STANDING_LABELS } from "./words.ts";
import type { View } from "./view.ts";

const COLUMNS = ["Device", "Standing", "Activity", "Runs", "Last result", "Seen"] as const;

/** The devices, one line each; on a phone one card each. The roles keep it a table for screen readers there too. */
export function DeviceTable({ view, nowMs }: { view: View; nowMs: number }): JSX.Element {
  const { devices, filter, next } = view;
  return (
    <section class="card devices" id="devices" aria-labelledby="devices-title">
      <header>
        <h2 id="devices-title">Devices</h2>
        <Filters view={view} />
      </header>
      {devices.length === 0
        ? <p class="quiet">No device here{filter.standing ? ` is "${STANDING_LABELS[filter.standing]}"` : ""}.</p>
        : (
          <table role="table" aria-labelledby="devices-title">
            <thead role="rowgroup">
              <tr role="row">
                {COLUMNS.map((title) => <th key={title} role="columnheader" scope="col">{title}</th>)}
              </tr>
            </thead>
            <tbody role="rowgroup">
              {devices.map((device) => <DeviceLine key={device.deviceId} device={device} nowMs={nowMs} />)}
            </tbody>
          </table>
        )}
      {(next !== null || filter.after !== null) && (
        <footer>
          {filter.after !== null && <a href={hrefOf({ ...filter, after: null })}>First devices</a>}
          {next !== null && <a href={hrefOf({ ...filter, after: next })}>Next devices</a>}
        </footer>
      )}
    </section>
  );
}

function Filters({ view: { fleet, filter } }: { view: View }): JSX.Element {
  return (
    <nav class="filters" aria-label="Filter devices">
      {filter.standing && (
        <a class="chip" href={hrefOf({ ...filter, standing: null, after: null })} aria-current="true">
          {STANDING_LABELS[filter.standing]}
          <span aria-hidden="true">×</span>
          <span class="hidden">(remove this filter)</span>
        </a>
      )}
      {fleet.channels.length > 1 && [null, ...fleet.channels.map(({ channel }) => channel)].map((channel) => (
        <a
          key={channel ?? ""}
          class="chip"
          href={hrefOf({ ...filter, channel, after: null })}
          aria-current={filter.channel === channel ? "true" : undefined}
        >
          {channel ?? "All channels"}
        </a>
      ))}
    </nav>
  );
}
