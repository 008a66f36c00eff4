/**
 * News as server-sent events: one reading of the fleet for all who watch, and a bounded queue for each of them.
 * @module
 */
import type { FleetEvent } from "@nix-ota/common";

/** Watches the fleet for browsers. */
export interface EventHub {
  /**
   * A stream of events: first the whole fleet, or what was missed after `lastEventId` where that is still known.
   * @returns Null where too many watch.
   */
  open(lastEventId: string | null): ReadableStream<Uint8Array> | null;
  /** Ends all streams. */
  stop(): void;
  /** Number of open streams. */
  size(): number;
}

/** Dashboards watching at once; each costs some 60 KB. */
const CLIENTS_MAX = 500;
/** Events remembered for those who come back. */
const REMEMBERED_MAX = 256;
/** Events that may wait for one slow reader; then its stream ends, and it comes back for the rest. */
const QUEUE_MAX = 64;
/** A comment this often keeps proxies from closing a quiet stream. */
const HEARTBEAT_MS = 15_000;
/** What a browser waits before it comes back. */
const RETRY_MS = 2000;

interface Remembered {
  readonly number: number;
  readonly text: Uint8Array;
}

/** Where the news come from. */
export interface EventSource {
  /** The event that a new watcher begins with. */
  readonly first: () => FleetEvent;
  readonly subscribe: (listener: (event: FleetEvent) => void) => () => void;
}

/** The last events, for those who come back. */
function createMemory(epoch: string): {
  add(event: FleetEvent): Uint8Array;
  /** The id that a stream beginning now begins with. */
  id(): string;
  /** What was told after the event of that id, or null where that cannot be said any more. */
  after(lastEventId: string | null): readonly Uint8Array[] | null;
  forget(): void;
} {
  let remembered: readonly Remembered[] = [];
  let count = 0;
  const id = (): string => `${epoch}-${count}`;
  return {
    id,
    add: (event) => {
      count += 1;
      const text = formatEvent(event, id());
      remembered = [...remembered, { number: count, text }].slice(-REMEMBERED_MAX);
      return text;
    },
    after: (lastEventId) => {
      const [, from, number] = /^(.*)-(\d{1,15})$/.exec(lastEventId ?? "") ?? [];
      const oldest = remembered[0]?.number ?? count + 1;
      if (from !== epoch || Number(number) < oldest - 1 || Number(number) > count) return null;
      return remembered.filter((one) => one.number > Number(number)).map(({ text }) => text);
    },
    forget: () => {
      remembered = [];
      count += 1; // Else an id of before would seem to be the newest.
    },
  };
}

/**
 * Makes the hub. It listens only while someone watches.
 * @param epoch Tells one run of the server from the next, so that an id of before is not taken for one of now.
 */
export function createEventHub({ first, subscribe }: EventSource, epoch: string): EventHub {
  const clients = new Set<ReadableStreamDefaultController<Uint8Array>>();
  const memory = createMemory(epoch);
  let listening: { unsubscribe: () => void; timer: ReturnType<typeof setInterval> } | null = null;

  function send(client: ReadableStreamDefaultController<Uint8Array>, text: Uint8Array): void {
    if ((client.desiredSize ?? 0) <= 0) return drop(client);
    client.enqueue(text);
  }

  function drop(client: ReadableStreamDefaultController<Uint8Array>): void {
    if (!clients.delete(client)) return;
    client.close();
    pauseIfAlone();
  }

  function tell(event: FleetEvent): void {
    const text = memory.add(event);
    for (const client of [...clients]) send(client, text);
  }

  function listen(): void {
    if (listening !== null) return;
    const timer = setInterval(() => {
      const comment = new TextEncoder().encode(": still here\n\n");
      for (const client of [...clients]) send(client, comment);
    }, HEARTBEAT_MS);
    listening = { unsubscribe: subscribe(tell), timer };
  }

  function pauseIfAlone(): void {
    if (clients.size > 0 || listening === null) return;
    listening.unsubscribe();
    clearInterval(listening.timer);
    listening = null;
    memory.forget(); // What happens while nobody listens is not gathered: nobody can go on from here.
  }

  function open(lastEventId: string | null): ReadableStream<Uint8Array> | null {
    if (clients.size >= CLIENTS_MAX) return null;
    let own: ReadableStreamDefaultController<Uint8Array> | null = null;
    return new ReadableStream<Uint8Array>({
      start: (controller) => {
        own = controller;
        const backlog = memory.after(lastEventId);
        listen();
        clients.add(controller);
        controller.enqueue(new TextEncoder().encode(`retry: ${RETRY_MS}\n\n`));
        for (const text of backlog ?? [formatEvent(first(), memory.id())]) controller.enqueue(text);
      },
      cancel: () => {
        if (own !== null) clients.delete(own);
        pauseIfAlone();
      },
    }, new CountQueuingStrategy({ highWaterMark: QUEUE_MAX + REMEMBERED_MAX }));
  }

  return {
    open,
    stop: () => {
      for (const client of [...clients]) drop(client);
    },
    size: () => clients.size,
  };
}

function formatEvent(event: FleetEvent, id: string): Uint8Array {
  // JSON has no line feed outside strings and escapes those inside: one line of data is enough.
  return new TextEncoder().encode(`id: ${id}\nevent: ${event.kind}\ndata: ${JSON.stringify(event)}\n\n`);
}
