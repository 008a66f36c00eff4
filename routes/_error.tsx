import type { ErrorPageProps } from "@/server/web/mod.ts";
import type { JSX } from "preact";

/** The document's title. */
export function title(problem: ErrorPageProps): string {
  return problem.title;
}

/** What is shown when a page could not be made. */
export default function Failure({ title, detail, status, url }: ErrorPageProps): JSX.Element {
  return (
    <section class="card message">
      <h1>{title}</h1>
      {detail === "" ? <p>The server's log says why. Try again in a moment.</p> : <p>{detail}.</p>}
      <p class="quiet">Status {status}</p>
      <p>
        {status >= 500 && <a href={url.pathname + url.search}>Try again</a>} <a href="/">Back to the fleet</a>
      </p>
    </section>
  );
}
