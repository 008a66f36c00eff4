import type { AppProps } from "@/server/web/mod.ts";
import type { JSX } from "preact";

/** The document round every page. */
export default function App({ title, head, children }: AppProps): JSX.Element {
  return (
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>{title === "" ? "nix-ota" : `${title} · nix-ota`}</title>
        {head}
      </head>
      <body>{children}</body>
    </html>
  );
}
