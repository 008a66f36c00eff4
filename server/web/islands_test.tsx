import assert from "node:assert/strict";
import type { JSX } from "preact";
import { renderToString } from "preact-render-to-string";
import { type IslandModules, IslandScope, registerIslands, withScope } from "./islands.tsx";

function Inner({ label }: { label: string }): JSX.Element {
  return <b>{label}</b>;
}

function Outer({ label }: { label: string }): JSX.Element {
  return (
    <div>
      <Inner label={label} />
    </div>
  );
}

registerIslands({ Inner: { default: Inner }, Outer: { default: Outer } });

Deno.test("a component of islands/ is wrapped where a page uses it, and its props are kept", () => {
  const scope = new IslandScope();
  const html = renderToString(withScope(
    scope,
    <p>
      <Inner label="a" />
      <Inner label="b" />
    </p>,
  ));
  assert.equal(
    html,
    '<p><ota-island name="Inner" data-props="0"><b>a</b></ota-island><ota-island name="Inner" data-props="1"><b>b</b></ota-island></p>',
  );
  assert.deepEqual(scope.names, ["Inner"]);
  assert.equal(scope.toHtml(), '<script type="application/json" id="ota-props">[{"label":"a"},{"label":"b"}]</script>');
});

Deno.test("an island inside an island is part of the outer one", () => {
  const scope = new IslandScope();
  const html = renderToString(withScope(scope, <Outer label="a" />));
  assert.equal(html, '<ota-island name="Outer" data-props="0"><div><b>a</b></div></ota-island>');
  assert.deepEqual(scope.names, ["Outer"]);
});

Deno.test("outside of a page an island is the plain component", () => {
  assert.equal(renderToString(<Inner label="a" />), "<b>a</b>");
});

Deno.test("a page without islands has no data block", () => {
  assert.equal(new IslandScope().toHtml(), "");
});

Deno.test("markup in a prop stays text, in the page and in the data block", () => {
  const scope = new IslandScope();
  const hostile = "</script><img src=x onerror=alert(1)>";
  const html = renderToString(withScope(scope, <Inner label={hostile} />)) + scope.toHtml();
  assert.equal(html.includes("<img"), false);
  assert.equal(html.match(/<\/script>/g)?.length, 1);
});

Deno.test("registerIslands() refuses a module without a component", () => {
  const modules = { Broken: {} } as unknown as IslandModules;
  assert.throws(() => registerIslands(modules), /Cannot use islands\/Broken as an island/);
});
