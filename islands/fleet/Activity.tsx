import type { DeviceRow } from "@nix-ota/common";
import type { JSX } from "preact";
import { bytesWords, type Download, pathsWords, PHASE_LABELS } from "./words.ts";

/** What a device does at this moment, with the bytes of a download. */
export function Activity({ device }: { device: DeviceRow }): JSX.Element {
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
