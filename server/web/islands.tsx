/**
 * Islands, the server's half: a component of islands/ that a page uses is rendered inside `<ota-island>`, its props go
 * into one data block of the page, and the page loads that island's script. The browser's half is islands/lib/boot.ts.
 * @module
 */
import {
  type ComponentChildren,
  type ComponentType,
  createContext,
  Fragment,
  h,
  type HTMLAttributes,
  options,
  type VNode,
} from "preact";
import { useContext } from "preact/hooks";
import { checkProps, jsonForHtml, type Props } from "./json_props.ts";

declare module "preact" {
  namespace JSX {
    interface IntrinsicElements {
      "ota-island": HTMLAttributes<HTMLElement> & { name: string; "data-props": number };
    }
  }
}

/** The files of islands/ by their name without extension. */
export type IslandModules = Readonly<Record<string, { readonly default: ComponentType<never> }>>;

/** Id of the data block with the props of a page's islands. */
export const PROPS_ID = "ota-props";

/** The islands that one page used, in the order in which they were rendered. */
export class IslandScope {
  readonly #names = new Set<string>();
  readonly #props: Props[] = [];

  /** Notes an island; answers with the place of its props. @throws {TypeError} Where they are not JSON. */
  add(name: string, props: Props): number {
    checkProps(name, props);
    this.#names.add(name);
    return this.#props.push(props) - 1;
  }

  /** The names of the islands in use. */
  get names(): readonly string[] {
    return [...this.#names];
  }

  /** The data block, or nothing on a page without islands. Its type is no script's, so the policy lets it be. */
  toHtml(): string {
    if (this.#props.length === 0) return "";
    return `<script type="application/json" id="${PROPS_ID}">${jsonForHtml(this.#props)}</script>`;
  }
}

const Scope = createContext<IslandScope | null>(null);
/** An island inside an island is part of it: only the outer one is hydrated. */
const Inside = createContext(false);

const hosts = new Map<unknown, ComponentType<Props>>();

/**
 * Makes the default export of every module an island wherever a page uses it.
 * @throws {TypeError} Where a module has none.
 */
export function registerIslands(modules: IslandModules): void {
  for (const [name, module] of Object.entries(modules)) {
    if (typeof module.default !== "function") {
      throw new TypeError(`Cannot use islands/${name} as an island: it has no default export that is a component`);
    }
    hosts.set(module.default, hostOf(name, module.default as ComponentType<Props>));
  }
}

function hostOf(name: string, component: ComponentType<Props>): ComponentType<Props> {
  return function IslandHost(props: Props): VNode {
    const scope = useContext(Scope);
    // Made as a Fragment and given its type afterwards, or the hook below would catch it again.
    const inner: VNode<Props> = h<Props>(Fragment, props);
    inner.type = component;
    if (useContext(Inside) || !scope) return inner;
    return (
      <ota-island name={name} data-props={scope.add(name, props)}>
        <Inside.Provider value>{inner}</Inside.Provider>
      </ota-island>
    );
  };
}

// Preact calls this for every element that is made: its public way to swap one component for another.
const next = options.vnode;
options.vnode = (vnode: VNode): void => {
  const host = hosts.get(vnode.type);
  if (host) vnode.type = host as ComponentType;
  next?.(vnode);
};

/** Renders children as a page whose islands are noted in `scope`. */
export function withScope(scope: IslandScope, children: ComponentChildren): VNode {
  return <Scope.Provider value={scope}>{children}</Scope.Provider>;
}
