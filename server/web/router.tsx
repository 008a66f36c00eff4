/**
 * The files of routes/ as pages: which one answers, inside which layouts, and what is shown when it cannot.
 * @module
 */
import { ERROR_CODES, OtaError } from "@nix-ota/common";
import type { Context, MiddlewareHandler } from "hono";
import { type ComponentChildren, type ComponentType, h } from "preact";
import type { App, RequestEnv } from "../deps.ts";
import type { FleetReader } from "../fleet_reader.ts";
import type { Assets } from "./assets.ts";
import { compressedResponse } from "./compress.ts";
import { renderDocument } from "./document.tsx";
import { PAGE_HEADERS } from "./headers.ts";
import type {
  AppProps,
  ErrorPageProps,
  Handler,
  LayoutProps,
  Method,
  PageProps,
  PageRequest,
  RouteModule,
  Routes,
} from "./page.ts";
import { comparePages, isPage, layoutsOf, toPattern } from "./pattern.ts";

/** What pages are made with. */
export interface PageDeps {
  readonly routes: Routes;
  readonly reader: FleetReader;
  readonly assets: Assets;
  /** Where people and devices reach this server; where absent, as the request was addressed. */
  readonly origin?: string;
  /** Stands before every page: refuses the request, or lets it go on. Assets are the same for everyone. */
  readonly access?: MiddlewareHandler<{ Bindings: RequestEnv }>;
  /** Told of errors that are the program's own fault. */
  readonly onFault?: (error: unknown, path: string) => void;
}

/** Adds every page of `routes`, and last the page for what does not exist. */
export function addPages(app: App, deps: PageDeps): void {
  const access: MiddlewareHandler<{ Bindings: RequestEnv }> = deps.access ?? ((_, next) => next());
  for (const id of Object.keys(deps.routes).filter(isPage).sort(comparePages)) {
    app.all(toPattern(id), access, (c) => answer(deps, requestOf(c, deps), (page) => showPage(deps, page, id)));
  }
  app.get("*", access, (c, next) => {
    // Programs get the server's own answer; only browsers are shown a page.
    if (!(c.req.header("accept") ?? "").includes("text/html")) return next();
    return answer(deps, requestOf(c, deps), (page) => {
      throw new OtaError("not_found", `There is no page ${JSON.stringify(page.url.pathname)}`);
    });
  });
}

function requestOf(c: Context, deps: PageDeps): PageRequest {
  const url = new URL(c.req.url);
  return { request: c.req.raw, url, origin: deps.origin ?? url.origin, params: c.req.param(), reader: deps.reader };
}

async function answer(
  deps: PageDeps,
  page: PageRequest,
  show: (page: PageRequest) => Promise<Response>,
): Promise<Response> {
  try {
    return await show(page);
  } catch (error) {
    if (!(error instanceof OtaError)) deps.onFault?.(error, page.url.pathname);
    return await showError(deps, page, error);
  }
}

async function showPage(deps: PageDeps, page: PageRequest, id: string): Promise<Response> {
  const module = moduleOf(deps, id);
  const handler = handlerOf(module, page.request.method);
  const data = await handler?.(page);
  if (data instanceof Response) return data;
  const props = { ...page, data } as PageProps; // The page's own handler made `data`: `RouteModule` says why.
  return await respond(deps, props, { id, status: 200 });
}

/** The function for a method; undefined for a page that needs no data. */
function handlerOf({ handler, default: component }: RouteModule, method: string): Handler | undefined {
  const asked = method === "HEAD" ? "GET" : method;
  const handlers: Partial<Record<Method, Handler>> = typeof handler === "function" ? { GET: handler } : handler ?? {};
  if (asked === "GET" && component) return handlers.GET;
  const found = asked === "GET" || asked === "POST" ? handlers[asked] : undefined;
  if (!found) {
    const allowed = [...component ? ["GET", "HEAD"] : [], ...Object.keys(handlers)];
    throw new OtaError("method_not_allowed", `The page does not answer ${asked}`, {
      extra: { allow: [...new Set(allowed)].join(", ") },
    });
  }
  return found;
}

function showError(deps: PageDeps, page: PageRequest, error: unknown): Promise<Response> {
  const known = error instanceof OtaError;
  const { status, title } = ERROR_CODES[known ? error.code : "internal"];
  const props: ErrorPageProps = { ...page, status, title, detail: known ? error.message : "" };
  const allow = known ? error.extra["allow"] : undefined;
  const headers = typeof allow === "string" ? { allow } : {};
  return respond(deps, props, { id: status === 404 ? "_404" : "_error", status, headers });
}

async function respond(
  deps: PageDeps,
  props: PageRequest,
  { id, status, headers = {} }: { id: string; status: number; headers?: Readonly<Record<string, string>> },
): Promise<Response> {
  const { default: component, title } = moduleOf(deps, id);
  if (!component) throw new TypeError(`Cannot show routes/${id}: it has no default export`);
  const tree = await component(props as never); // `RouteModule` says why `never`.
  const html = renderDocument({
    app: moduleOf(deps, "_app").default as ComponentType<AppProps>,
    page: props,
    title: typeof title === "function" ? title(props as never) : title ?? "",
    tree: inLayouts(deps, props, { id, tree }),
    assets: deps.assets,
  });
  return compressedResponse(props.request, html, { status, headers: new Headers({ ...PAGE_HEADERS, ...headers }) });
}

function inLayouts(
  deps: PageDeps,
  props: PageRequest,
  { id, tree }: { id: string; tree: ComponentChildren },
): ComponentChildren {
  const layouts = layoutsOf(id, (layout) => Object.hasOwn(deps.routes, layout));
  return layouts.reduce((children, layout) => {
    const component = moduleOf(deps, layout).default as ComponentType<LayoutProps>;
    return h(component, { ...props, children });
  }, tree);
}

function moduleOf(deps: PageDeps, id: string): RouteModule {
  const module = deps.routes[id];
  if (!module) throw new TypeError(`Cannot show a page without routes/${id}: there is no such file`);
  return module;
}
