import type { ReleaseRow } from "@nix-ota/common";
import type { JSX } from "preact";
import { Fingerprint } from "./Fingerprint.tsx";
import { When } from "./When.tsx";
import { plain } from "./words.ts";

/** The newest releases of all channels. */
export function Releases({ releases, nowMs }: { releases: readonly ReleaseRow[]; nowMs: number }): JSX.Element | null {
  if (releases.length === 0) return null;
  return (
    <section class="card releases" aria-labelledby="releases">
      <h2 id="releases">Releases</h2>
      <ol>
        {releases.map((release) => (
          <li key={`${release.channel} ${release.revision}`}>
            <p>
              <b>{release.channel} {release.revision}</b> {release.notes !== "" && plain(release.notes)}
            </p>
            <small>
              <When atMs={release.publishedMs} nowMs={nowMs} />, signed by{" "}
              {release.signers.map((signer) => <Fingerprint key={signer} value={signer} />)}
            </small>
          </li>
        ))}
      </ol>
    </section>
  );
}
