import type { DeviceRow } from "@nix-ota/common";
import type { ComponentChildren, JSX } from "preact";
import { Badge } from "./Badge.tsx";
import { When } from "./When.tsx";
import {
  bytesWords,
  type Download,
  pathsWords,
  PHASE_LABELS,
  plain,
  reasonSentence,
  RESULT_LABELS,
  RESULT_TONES,
} from "./words.ts";

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
        {device.cloneSuspected && (
          <span class="tag" data-tone="bad" title="Two machines seem to use this device's key">Clone?</span>
        )}
        {device.state?.needsReboot && (
          <span class="tag" data-tone="warn" title="The new system takes effect at the next restart">Restart</span>
        )}
      </Cell>
      <Cell title="Activity">
        <Activity device={device} />
      </Cell>
      <Cell title="Runs release">
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

/** A cell whose title the style sheet shows on a phone, where the columns have no heads. */
function Cell({ title, children }: { title: string; children: ComponentChildren }): JSX.Element {
  return <td role="cell" data-title={title}>{children}</td>;
}

function Activity({ device }: { device: DeviceRow }): JSX.Element {
  const { state } = device;
  if (state === null) return <span class="quiet">has not reported yet</span>;
  const { phase, progress, target } = state;
  const release = phase !== "idle" && target ? ` ${target.revision}` : "";
  return (
    <>
      <span class="phase" data-phase={phase}>{PHASE_LABELS[phase]}{release}</span>
      {phase === "staging" && progress && <DownloadBar download={progress} deviceId={device.deviceId} />}
    </>
  );
}

function DownloadBar({ download, deviceId }: { download: Download; deviceId: string }): JSX.Element {
  const { bytes, ofBytes } = download;
  return (
    <span class="download" title={pathsWords(download)}>
      <progress
        max={Math.max(1, ofBytes)}
        value={Math.min(bytes, ofBytes)}
        aria-label={`Download of ${deviceId}`}
      />
      <small>{bytesWords(download)}</small>
    </span>
  );
}

function LastResult({ device }: { device: DeviceRow }): JSX.Element {
  const { result, reason, detail } = device.state ?? { result: null, reason: null, detail: null };
  if (result === null) return <span class="quiet">none yet</span>;
  return (
    <span class="result" data-tone={RESULT_TONES[result]} title={detail === null ? undefined : plain(detail, 600)}>
      <b>{RESULT_LABELS[result]}</b>
      {reason !== null && <small>{reasonSentence(reason)}</small>}
    </span>
  );
}
