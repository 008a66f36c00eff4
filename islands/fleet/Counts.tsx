import type { Standing, StandingCounts } from "@nix-ota/common";
import type { JSX } from "preact";
import { type Filter, hrefOf } from "./filter.ts";
import { STANDING_HELP, STANDING_LABELS } from "./words.ts";

const SHOWN: readonly Standing[] = ["current", "updating", "waiting", "failed", "no_target", "pending"];

/** How many devices stand how; each number leads to them. */
export function Counts({ counts, filter }: { counts: StandingCounts; filter: Filter }): JSX.Element {
  return (
    <nav class="counts" aria-label="Devices by standing">
      {SHOWN.map((standing) => (
        <a
          key={standing}
          class="count"
          data-standing={standing}
          data-none={counts[standing] === 0}
          href={hrefOf({ channel: filter.channel, standing, after: null })}
          aria-current={filter.standing === standing ? "true" : undefined}
          title={STANDING_HELP[standing]}
        >
          <b>{counts[standing].toLocaleString("en")}</b>
          <span>{STANDING_LABELS[standing]}</span>
        </a>
      ))}
    </nav>
  );
}
