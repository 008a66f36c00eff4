/**
 * A page's tree as a whole document.
 * @module
 */
import { type ComponentChildren, type ComponentType, Fragment, h, type VNode } from "preact";
import { jsxTemplate } from "preact/jsx-runtime";
import { renderToString } from "preact-render-to-string";
import { assetPath, type Assets, ASSETS_PATH } from "./assets.ts";
import { IslandScope, withScope } from "./islands.tsx";
import type { AppProps, PageRequest } from "./page.ts";

/** What a document is made of. */
export interface DocumentParts {
  readonly app: ComponentType<AppProps>;
  readonly page: PageRequest;
  readonly title: string;
  readonly tree: ComponentChildren;
  readonly assets: Assets;
}

/** The document as HTML. The page is rendered first, for the head depends on the islands that it uses. */
export function renderDocument({ app, page, title, tree, assets }: DocumentParts): string {
  const scope = new IslandScope();
  const body = renderToString(withScope(scope, tree));
  const head = <HeadTags assets={assets} islands={scope.names} />;
  const children = trustedHtml(body + scope.toHtml());
  return `<!doctype html>${renderToString(h(app, { ...page, title, head, children }))}`;
}

/** HTML that this module rendered itself. */
function trustedHtml(html: string): VNode {
  return jsxTemplate([html]);
}

function HeadTags({ assets, islands }: { assets: Assets; islands: readonly string[] }): VNode {
  const chunks = new Set(islands.flatMap((name) => assets.manifest.chunks[name] ?? []));
  const scripts = [...islands.map((name) => assetPath(assets, `${name}.js`)), ...assets.scripts ?? []];
  return (
    <Fragment>
      {fontsOf(assets).map((href) => (
        <link key={href} rel="preload" as="font" type="font/woff2" crossorigin="anonymous" href={href} />
      ))}
      <link rel="stylesheet" href={assetPath(assets, "app.css")} />
      <link rel="icon" type="image/svg+xml" href={assetPath(assets, "icon.svg")} />
      {[...chunks].map((chunk) => <link key={chunk} rel="modulepreload" href={`${ASSETS_PATH}${chunk}`} />)}
      {scripts.map((src) => <script key={src} type="module" src={src}></script>)}
    </Fragment>
  );
}

function fontsOf(assets: Assets): readonly string[] {
  return Object.keys(assets.manifest.files).filter((name) => name.endsWith(".woff2")).map((name) =>
    assetPath(assets, name)
  );
}
