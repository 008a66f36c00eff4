/**
 * What the routes are made of: handed in, so that they know no process, no environment and no clock of their own.
 * @module
 */
import type { Log } from "@nix-ota/common";
import type { Hono } from "hono";
import type { Access } from "./access.ts";
import type { Changes } from "./changes.ts";
import type { FleetReader } from "./fleet_reader.ts";
import type { Store } from "./store/store.ts";
import type { TrustKeys } from "./trust_keys.ts";
import type { Waiters } from "./waiters.ts";

/** What the listener knows of a request beside its text. */
export interface RequestEnv {
  /** Address of the peer, without a port; absent where it cannot be told. */
  readonly clientAddress?: string | undefined;
}

/** The application. */
export type App = Hono<{ Bindings: RequestEnv }>;

/** Settings that routes go by. */
export interface Policy {
  readonly fleet: string;
  readonly enrolment: "approve" | "open" | "token";
  readonly releaseReads: "open" | "enrolled";
  /** The address that devices and browsers use, or null where each request's own is as good. */
  readonly publicUrl: string | null;
  /** How often devices are asked to check in, before the spread. */
  readonly pollSeconds: number;
}

/** Everything the routes need. */
export interface AppDeps {
  readonly policy: Policy;
  readonly store: Store;
  readonly reader: FleetReader;
  readonly changes: Changes;
  readonly waiters: Waiters;
  readonly access: Access;
  readonly trustKeys: TrustKeys;
  /** Whether the server can take writes: what `/readyz` answers. */
  readonly isReady: () => Promise<boolean>;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** A value in [0, 1), for spreading devices. */
  readonly random: () => number;
  readonly log: Log;
}
