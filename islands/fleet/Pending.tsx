import type { DeviceRow } from "@nix-ota/common";
import type { JSX } from "preact";
import { hrefOf } from "./filter.ts";
import { PendingDevice } from "./PendingDevice.tsx";
import { When } from "./When.tsx";
import { count, plain } from "./words.ts";

interface PendingProps {
  readonly devices: readonly DeviceRow[];
  /** How many there are in all. */
  readonly total: number;
  readonly origin: string;
  readonly nowMs: number;
}

/** Devices that ask to join, each with the command that lets it in. */
export function Pending({ devices, total, origin, nowMs }: PendingProps): JSX.Element | null {
  if (devices.length === 0) return null;
  const more = total - devices.length;
  return (
    <section class="card pending" aria-labelledby="pending">
      <h2 id="pending">
        {total === 1 ? "A device asks" : `${count(total, "device")} ask`} to join
      </h2>
      <p class="quiet">
        Compare the fingerprint with the one that the device shows (<code>nix-ota-agent status</code>), then accept it.
      </p>
      <ul>
        {devices.map((device) => (
          <li key={device.deviceId}>
            <p>
              <a href={`/devices/${encodeURIComponent(device.deviceId)}`}>{device.deviceId}</a>{" "}
              <small>
                {plain(device.hostname)} · {device.channel} · {device.system} ·{" "}
                <When atMs={device.enrolledMs} nowMs={nowMs} />
              </small>
            </p>
            <PendingDevice device={device} origin={origin} />
          </li>
        ))}
      </ul>
      {more > 0 && <a href={hrefOf({ channel: null, standing: "pending", after: null })}>Show {more} more</a>}
    </section>
  );
}
