/**
 * What a file in routes/ exports and what it is given. Routes know no web framework: they take a request and the fleet,
 * and return values.
 * @module
 */
import type { ComponentChildren } from "preact";
import type { FleetReader } from "../fleet_reader.ts";

/** What every page may use. */
export interface PageRequest {
  readonly request: Request;
  readonly url: URL;
  /** Where people and devices reach this server, such as `https://ota.example.org`; no slash at the end. */
  readonly origin: string;
  /** The named parts of the path, decoded: `devices/[id]` gives `id`. */
  readonly params: Readonly<Record<string, string>>;
  readonly reader: FleetReader;
}

/** Answers a request: data for the page, or a whole response such as a redirect. May throw `OtaError`. */
export type Handler<Data = unknown> = (page: PageRequest) => Data | Response | Promise<Data | Response>;

/** The data that a handler gives its page. */
export type DataOf<H> = H extends (page: PageRequest) => infer Result ? Exclude<Awaited<Result>, Response> : undefined;

/** What a page is rendered from. `PageProps<typeof handler>` types `data`. */
export interface PageProps<H = unknown> extends PageRequest {
  readonly data: DataOf<H>;
}

/** What a `_layout` wraps. */
export interface LayoutProps extends PageRequest {
  readonly children: ComponentChildren;
}

/** What `_app` makes a document of. */
export interface AppProps extends PageRequest {
  readonly title: string;
  /** The tags for the style sheet, the font and the scripts of the islands in use. */
  readonly head: ComponentChildren;
  readonly children: ComponentChildren;
}

/** What `_404` and `_error` tell. */
export interface ErrorPageProps extends PageRequest {
  readonly status: number;
  readonly title: string;
  /** One sentence for people; empty where there is nothing safe to say. */
  readonly detail: string;
}

/** HTTP methods that a route may answer. HEAD is answered as GET without the body. */
export type Method = "GET" | "POST";

/**
 * A file in routes/. `never` as the parameter: each page asks for the data of its own handler, and the router, which
 * passes it on, cannot know its type.
 */
export interface RouteModule {
  readonly default?: (props: never) => ComponentChildren | Promise<ComponentChildren>;
  readonly handler?: Handler | Partial<Readonly<Record<Method, Handler>>>;
  /** The document's title, before " · nix-ota". */
  readonly title?: string | ((props: never) => string);
}

/** The files of routes/ by their path without extension: `index`, `_layout`, `devices/[id]`. */
export type Routes = Readonly<Record<string, RouteModule>>;
