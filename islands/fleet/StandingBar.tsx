import type { Standing, StandingCounts } from "@nix-ota/common";
import type { JSX } from "preact";
import { participants, spokenProgress, STANDING_LABELS } from "./words.ts";

const PARTS: readonly Standing[] = ["current", "updating", "waiting", "failed", "no_target"];

/** A channel's devices as one bar. Its colours are named in the list below it; its sentence says it all. */
export function StandingBar({ counts }: { counts: StandingCounts }): JSX.Element {
  const total = participants(counts) || 1;
  const shares = PARTS.map((standing) => counts[standing] / total * 100);
  return (
    <>
      <svg class="bar" width="100%" height="12" role="img" aria-label={spokenProgress(counts)}>
        {PARTS.map((standing, at) => (
          <rect
            key={standing}
            data-standing={standing}
            x={`${shares.slice(0, at).reduce((sum, share) => sum + share, 0)}%`}
            width={`${shares[at]}%`}
            height="12"
          />
        ))}
      </svg>
      <ul class="legend" aria-hidden="true">
        {PARTS.map((standing) => (
          <li key={standing} data-standing={standing} data-none={counts[standing] === 0}>
            <b>{counts[standing].toLocaleString("en")}</b> {STANDING_LABELS[standing].toLowerCase()}
          </li>
        ))}
      </ul>
    </>
  );
}
