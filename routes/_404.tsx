import type { ErrorPageProps } from "@/server/web/mod.ts";
import type { JSX } from "preact";

/** The document's title. */
export const title = "Not found";

/** What is shown where nothing is. */
export default function NotFound({ detail }: ErrorPageProps): JSX.Element {
  return (
    <section class="card message">
      <h1>Not found</h1>
      <p>{detail}.</p>
      <p>
        <a href="/">Back to the fleet</a>
      </p>
    </section>
  );
}
