import type { JSX } from "preact";
import type { Happening } from "./happenings.ts";
import { When } from "./When.tsx";

/** What happened last, newest first. */
export function Happenings({ list, nowMs }: { list: readonly Happening[]; nowMs: number }): JSX.Element {
  return (
    <section class="card happenings" aria-labelledby="happenings">
      <h2 id="happenings">What happened last</h2>
      <ol>
        {list.map((one) => (
          <li key={`${one.subject} ${one.atMs} ${one.text}`} data-tone={one.tone}>
            <p>
              {one.subjectKind === "device"
                ? <a href={`/devices/${encodeURIComponent(one.subject)}`}>{one.subject}</a>
                : <b>{one.subject}</b>} {one.text}
            </p>
            <small>
              <When atMs={one.atMs} nowMs={nowMs} />
            </small>
          </li>
        ))}
      </ol>
    </section>
  );
}
