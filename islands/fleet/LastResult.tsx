import type { DeviceRow } from "@nix-ota/common";
import type { JSX } from "preact";
import { plain, reasonSentence, RESULT_LABELS, RESULT_TONES } from "./words.ts";

/** Longest detail on hover, in UTF-16 code units. */
const DETAIL_MAX = 600;

/** How a device's last attempt ended, and why. */
export function LastResult({ device }: { device: DeviceRow }): JSX.Element {
  const { result, reason, detail } = device.state ?? { result: null, reason: null, detail: null };
  if (result === null) return <span class="quiet">none yet</span>;
  const title = detail === null ? undefined : plain(detail, DETAIL_MAX);
  return (
    <span class="result" data-tone={RESULT_TONES[result]} title={title}>
      <b>{RESULT_LABELS[result]}</b>
      {reason !== null && <small>{reasonSentence(reason)}</small>}
    </span>
  );
}
