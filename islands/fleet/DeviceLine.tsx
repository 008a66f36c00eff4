import type { DeviceRow } from "@nix-ota/common";
import type { ComponentChildren, JSX } from "preact";
import { Activity } from "./Activity.tsx";
import { Badge } from "./Badge.tsx";
import { LastResult } from "./LastResult.tsx";
import { When } from "./When.tsx";

/** One device of the table. */
export function DeviceLine({ device, nowMs }: { device: DeviceRow; nowMs: number }): JSX.Element {
  return (
    <tr role="row" data-standing={device.standing}>
      <th role="rowheader" scope="row">
        <a href={`/devices/${encodeURIComponent(device.deviceId)}`}>{device.deviceId}</a>
        <small>{device.channel}</small>
      </th>
      <Cell title="Standing">
        <Badge standing={device.standing} />
        <Marks device={device} />
      </Cell>
      <Cell title="Activity">
        <Activity device={device} />
      </Cell>
      <Cell title="Runs">
        {device.runningRevision ?? <span class="quiet">unknown</span>}
      </Cell>
      <Cell title="Last result">
        <LastResult device={device} />
      </Cell>
      <Cell title="Seen">
        {device.seenMs === null ? <span class="quiet">never</span> : <When atMs={device.seenMs} nowMs={nowMs} />}
      </Cell>
    </tr>
  );
}

/** What people should know beside the standing. */
export function Marks({ device }: { device: DeviceRow }): JSX.Element {
  return (
    <>
      {device.cloneSuspected && (
        <span class="tag" data-tone="bad" title="Two machines seem to use this device's key">Clone?</span>
      )}
      {device.state?.needsReboot && (
        <span class="tag" data-tone="warn" title="The new system takes effect at the next restart">Restart</span>
      )}
    </>
  );
}

/** A cell whose title the style sheet may show where the columns have no heads. */
function Cell({ title, children }: { title: string; children: ComponentChildren }): JSX.Element {
  return <td role="cell" data-title={title}>{children}</td>;
}
