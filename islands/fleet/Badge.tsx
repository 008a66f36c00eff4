import type { Standing } from "@nix-ota/common";
import type { JSX } from "preact";
import { STANDING_HELP, STANDING_LABELS } from "./words.ts";

/** A device's standing: colour, dot and word. */
export function Badge({ standing }: { standing: Standing }): JSX.Element {
  return (
    <span class="badge" data-standing={standing} title={STANDING_HELP[standing]}>
      {STANDING_LABELS[standing]}
    </span>
  );
}
