/**
 * One event stream a page, shared by every island on it: this module is in the chunk that they share.
 * @module
 */
import { DeviceRow, Fleet, type FleetEvent, operatorPaths, ReleaseRow, unreachable } from "@nix-ota/common";
import { type ReadonlySignal, type Signal, signal } from "@preact/signals";
import { afterChange, type LiveChange, type LiveState, retryMs } from "./live_state.ts";

/** What an island wants to know. */
export interface LiveListener {
  /** The stream is open: what happened before it was must be asked for. */
  onOpen(): void;
  onEvent(event: FleetEvent): void;
}

/** A page that nobody looks at gives its connection back after this long: browsers have six for each server. */
const HIDDEN_MS = 60_000;
/** How often the state is looked at. */
const LOOK_MS = 1_000;
/**
 * After this long without an event the stream is opened anew, for a connection whose other end is gone looks like one
 * on which nothing happens: a page must not say "live" because of that.
 */
const QUIET_MS = 45_000;
/** A stream that does not open in this time is lost. */
const OPEN_MS = 10_000;
const KINDS = ["device", "release", "fleet"] as const;

const state: Signal<LiveState> = signal({ kind: "connecting" });
const listeners = new Set<LiveListener>();
let source: EventSource | null = null;
let failures = 0;
let retryTimer: ReturnType<typeof setTimeout> | undefined;
let hiddenTimer: ReturnType<typeof setTimeout> | undefined;
let lookTimer: ReturnType<typeof setInterval> | undefined;
/** When the stream was asked for or last said something, by the browser's clock. */
let heardMs = 0;

/** Whether the page is live. */
export const liveState: ReadonlySignal<LiveState> = state;

/** Listens until the returned function is called. The first listener opens the stream, the last one closes it. */
export function onLive(listener: LiveListener): () => void {
  listeners.add(listener);
  if (listeners.size === 1) start();
  else if (state.value.kind === "live") listener.onOpen();
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) stop();
  };
}

/**
 * Reads one event of the stream.
 * @throws {SchemaError | SyntaxError} Where it is not one that this page understands.
 */
export function parseFleetEvent(kind: FleetEvent["kind"], data: string): FleetEvent {
  const { device, release, fleet } = JSON.parse(data);
  switch (kind) {
    case "device":
      return { kind, device: DeviceRow(device, "device") };
    case "release":
      return { kind, release: ReleaseRow(release, "release") };
    case "fleet":
      return { kind, fleet: Fleet(fleet, "fleet") };
    default:
      return unreachable(kind);
  }
}

function start(): void {
  addEventListener("online", retryNow);
  addEventListener("pagehide", close);
  addEventListener("pageshow", retryNow);
  document.addEventListener("visibilitychange", onVisibility);
  lookTimer = setInterval(look, LOOK_MS);
  open();
}

function stop(): void {
  removeEventListener("online", retryNow);
  removeEventListener("pagehide", close);
  removeEventListener("pageshow", retryNow);
  document.removeEventListener("visibilitychange", onVisibility);
  clearInterval(lookTimer);
  clearTimeout(hiddenTimer);
  close();
}

function open(): void {
  close();
  heardMs = Date.now();
  const stream = source = new EventSource(operatorPaths.events);
  stream.onopen = () => {
    failures = 0;
    heardMs = Date.now();
    change("opened");
    for (const listener of listeners) listener.onOpen();
  };
  // The browser would try again by itself, but not after an answer such as a proxy's 502.
  stream.onerror = lose;
  for (const kind of KINDS) {
    stream.addEventListener(kind, (message: MessageEvent<string>) => receive(kind, message.data));
  }
}

function lose(): void {
  close();
  change("lost");
  retryTimer = setTimeout(open, retryMs(failures++, Math.random));
}

function look(): void {
  change("waited");
  if (source === null) return;
  const quietMs = Date.now() - heardMs;
  if (source.readyState === EventSource.CONNECTING && quietMs > OPEN_MS) lose();
  else if (source.readyState === EventSource.OPEN && quietMs > QUIET_MS) open();
}

function receive(kind: FleetEvent["kind"], data: string): void {
  heardMs = Date.now();
  try {
    const event = parseFleetEvent(kind, data);
    for (const listener of listeners) listener.onEvent(event);
  } catch {
    misunderstood();
  }
}

/** To be called when the server answers what this page cannot read: it is of another version than this page. */
export function misunderstood(): void {
  change("misunderstood");
  close();
}

function change(what: LiveChange): void {
  state.value = afterChange(state.value, what, Date.now());
}

function close(): void {
  clearTimeout(retryTimer);
  source?.close();
  source = null;
}

function retryNow(): void {
  if (source === null && state.value.kind !== "outdated") open();
}

function onVisibility(): void {
  clearTimeout(hiddenTimer);
  if (document.visibilityState === "visible") return retryNow();
  hiddenTimer = setTimeout(() => {
    close();
    change("lost");
  }, HIDDEN_MS);
}
