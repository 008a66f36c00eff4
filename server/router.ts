/**
 * Routes by path: each says which methods it takes, and refuses the others by name.
 * @module
 */
import { Name, OtaError, Revision, SchemaError } from "@nix-ota/common";
import type { Context } from "hono";
import type { App, RequestEnv } from "./deps.ts";

/** A request at a route. */
export type RouteContext = Context<{ Bindings: RequestEnv }>;
/** Answers a request; what it throws becomes a problem document. */
export type RouteHandler = (c: RouteContext) => Response | Promise<Response>;
type Method = "GET" | "POST" | "PUT";

/** Adds a path with its methods. HEAD goes where GET does; other methods are `method_not_allowed`. */
export function addRoute(app: App, path: string, handlers: Readonly<Partial<Record<Method, RouteHandler>>>): void {
  for (const [method, handler] of Object.entries(handlers)) app.on(method, path, handler);
  const allowed = Object.keys(handlers).flatMap((method) => method === "GET" ? ["GET", "HEAD"] : [method]);
  app.all(path, (c) => {
    throw new OtaError("method_not_allowed", `Cannot ${c.req.method} here: wanted ${allowed.join(" or ")}`, {
      extra: { allow: allowed.join(", ") },
    });
  });
}

/** A name in the path; what is no name at all cannot be found. @throws {OtaError} `not_found`. */
export function pathName(c: RouteContext, key: string): string {
  const value = c.req.param(key) ?? "";
  try {
    return Name(value, key);
  } catch (cause) {
    throw notFound(cause);
  }
}

/** A revision in the path. @throws {OtaError} `not_found`. */
export function pathRevision(c: RouteContext): number {
  const text = c.req.param("revision") ?? "";
  try {
    return Revision(/^[1-9]\d{0,15}$/.test(text) ? Number(text) : null, "revision");
  } catch (cause) {
    throw notFound(cause);
  }
}

function notFound(cause: unknown): OtaError {
  const what = cause instanceof SchemaError ? cause.message : "there is no such path";
  return new OtaError("not_found", `Cannot find that: ${what}`, { cause });
}
