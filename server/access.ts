/**
 * Who may do what: one object for the device routes, the operator API and the pages.
 * @module
 */
import { OtaError } from "@nix-ota/common";
import type { Context, MiddlewareHandler } from "hono";
import type { RequestEnv } from "./deps.ts";
import { problem } from "./errors.ts";
import { findToken, type ReadTokens, type TokenHash } from "./tokens.ts";

type Ctx = Context<{ Bindings: RequestEnv }>;

/** The rules. */
export interface Access {
  /**
   * Who publishes or decides: only a bearer token will do. A browser would send a password along with requests that
   * other sites make.
   * @returns The name to keep in events.
   * @throws {OtaError} `unauthorized`, or `forbidden` for a token that only reads.
   */
  requirePublisher(c: Ctx): string;
  /** @throws {OtaError} `unauthorized` unless {@link Access.mayRead}. */
  requireReader(c: Ctx): void;
  /** Whether the fleet may be looked at: by someone on this machine, or with the token as bearer or as password. */
  mayRead(c: Ctx): boolean;
  /** @throws {OtaError} `unauthorized` where releases are closed to strangers and the request is from one. */
  requireReleaseReader(c: Ctx): void;
  /** The device whose read token the request carries, or null. */
  readingDevice(c: Ctx): string | null;
  /** A new read token for a device, or null where releases are open. */
  readTokenFor(deviceId: string): string | null;
  /** Whether the enrolment token is one of the server's. */
  isEnrolToken(token: string | null): boolean;
}

/** What the rules are made of. */
export interface AccessOptions {
  readonly publishTokens: readonly TokenHash[];
  readonly enrolTokens: readonly TokenHash[];
  readonly readTokens: ReadTokens;
  readonly releaseReads: "open" | "enrolled";
  /** Behind a proxy every peer is on this machine, so being there proves nothing. */
  readonly behindProxy: boolean;
  /** Whether the device is accepted at this moment. */
  readonly isAccepted: (deviceId: string) => boolean;
  readonly now: () => number;
}

/** A header of these says that someone else stands behind the peer. */
const FORWARDED_HEADER = /^(?:forwarded|x-forwarded-.*|x-real-ip|via)$/;

/** Makes the rules. */
export function createAccess(options: AccessOptions): Access {
  const { publishTokens, enrolTokens, readTokens, releaseReads, behindProxy, isAccepted, now } = options;

  function publisherOf(token: string | null): TokenHash | null {
    return token === null ? null : findToken(token, publishTokens);
  }

  function readingDevice(c: Ctx): string | null {
    const token = bearerOf(c);
    const deviceId = token === null ? null : readTokens.check(token, now());
    return deviceId !== null && isAccepted(deviceId) ? deviceId : null;
  }

  function mayRead(c: Ctx): boolean {
    if (publisherOf(bearerOf(c) ?? passwordOf(c)) !== null) return true;
    return !behindProxy && isLocal(c);
  }

  return {
    requirePublisher: (c) => {
      const token = bearerOf(c);
      const found = publisherOf(token);
      if (found !== null) return `token ${found.id}`;
      if (token !== null && readTokens.check(token, now()) !== null) {
        throw new OtaError("forbidden", "Cannot do this with a device's token for reading: wanted the publish token");
      }
      throw unauthorized(token === null ? "without a bearer token" : "as the bearer token is not a valid one");
    },
    requireReader: (c) => {
      if (!mayRead(c)) throw unauthorized("without the publish token, as bearer or as password");
    },
    mayRead,
    requireReleaseReader: (c) => {
      if (releaseReads === "open" || readingDevice(c) !== null) return;
      if (publisherOf(bearerOf(c) ?? passwordOf(c)) !== null) return;
      throw unauthorized("without the token that an accepted device gets with each check-in");
    },
    readingDevice,
    readTokenFor: (deviceId) => releaseReads === "open" ? null : readTokens.make(deviceId, now()),
    isEnrolToken: (token) => token !== null && findToken(token, enrolTokens) !== null,
  };
}

/** Lets only those through who may look at the fleet: for pages and for the operator API. */
export function readAccess(access: Access): MiddlewareHandler<{ Bindings: RequestEnv }> {
  return async (c, next) => {
    if (!access.mayRead(c)) return problem(unauthorized("without the publish token, as bearer or as password"));
    await next();
    return undefined;
  };
}

function unauthorized(why: string): OtaError {
  return new OtaError("unauthorized", `Cannot do this ${why} (the server prints at its start where its token is)`);
}

function bearerOf(c: Ctx): string | null {
  return /^bearer +([\x21-\x7e]{1,512})$/i.exec(c.req.header("authorization") ?? "")?.[1] ?? null;
}

/** The password of HTTP Basic (RFC 7617), whatever the user name is. */
function passwordOf(c: Ctx): string | null {
  const [, encoded] = /^basic +([A-Za-z0-9+/=]{1,1024})$/i.exec(c.req.header("authorization") ?? "") ?? [];
  if (encoded === undefined) return null;
  try {
    const [, password] = /^[^:]*:(.*)$/.exec(atob(encoded)) ?? [];
    return password ?? null;
  } catch {
    return null; // Not base64.
  }
}

/**
 * Whether the request comes straight from this machine. The host must be a name of this machine as well: a page of
 * another site can have its own name point here, and its script would then read what the browser may.
 */
function isLocal(c: Ctx): boolean {
  for (const name of c.req.raw.headers.keys()) if (FORWARDED_HEADER.test(name)) return false;
  return isLoopback(c.env?.clientAddress) && isLoopbackHost(c.req.header("host") ?? new URL(c.req.url).host);
}

/** Whether an address is this machine's own. */
export function isLoopback(address: string | undefined): boolean {
  return address !== undefined && /^(?:(?:::ffff:)?127\.\d{1,3}\.\d{1,3}\.\d{1,3}|::1)$/i.test(address);
}

function isLoopbackHost(host: string): boolean {
  const name = host.replace(/:\d{1,5}$/, "").replace(/^\[(.*)\]$/, "$1").toLowerCase();
  return name === "localhost" || isLoopback(name);
}
