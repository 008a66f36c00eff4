import type { JSX } from "preact";
import { liveState } from "../lib/live.ts";
import type { LiveState } from "../lib/live_state.ts";
import { exactTime } from "./words.ts";

/** Whether what the page shows is true now. Before the stream opens, and without scripts: when the page was made. */
export function LiveMark({ madeMs }: { madeMs: number }): JSX.Element {
  const state = liveState.value;
  return (
    <p class="live" data-live={state.kind} role="status">
      {state.kind === "outdated" ? <a href="">Reload: the server was updated</a> : textOf(state, madeMs)}
    </p>
  );
}

function textOf(state: Exclude<LiveState, { kind: "outdated" }>, madeMs: number): string {
  switch (state.kind) {
    case "connecting":
      return `As of ${clock(madeMs)}`;
    case "live":
      return "Live";
    case "reconnecting":
      return "Reconnecting…";
    case "stale":
      return `Stale since ${clock(state.sinceMs)}`;
  }
}

/** `12:34:56 UTC`. */
function clock(ms: number): string {
  return exactTime(ms).slice(11);
}
