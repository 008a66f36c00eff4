import type { LayoutProps } from "@/server/web/mod.ts";
import type { JSX } from "preact";

const NAV = [["/", "Fleet"]] as const;

/** Bar, main part: the same on every page. */
export default function Layout({ children, url }: LayoutProps): JSX.Element {
  return (
    <>
      <a class="skip" href="#main">Skip to content</a>
      <header class="top">
        <a class="brand" href="/">
          <svg viewBox="0 0 24 24" width="24" height="24" aria-hidden="true">
            <path d="M12 2 3.3 7v10l8.7 5 8.7-5V7z" />
            <path d="m8 12.2 2.9 2.9L16.2 9" />
          </svg>
          nix-ota
        </a>
        <nav aria-label="Main">
          {NAV.map(([href, text]) => (
            <a key={href} href={href} aria-current={url.pathname === href ? "page" : undefined}>{text}</a>
          ))}
        </nav>
      </header>
      <main id="main">{children}</main>
    </>
  );
}
