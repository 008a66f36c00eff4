/**
 * A load generator on bare sockets: HTTP/1.1 with kept-alive connections, one request in flight on each. `fetch` would
 * cost more than the server that it measures.
 * @module
 */

/** What to send and how. */
export interface Load {
  readonly port: number;
  readonly connections: number;
  /** The requests of one connection, each a whole request; the load ends when all have sent theirs. */
  readonly requests: (connection: number) => readonly Uint8Array[];
  /** The status that every answer must have. */
  readonly status: number;
}

/** What came of it. Times in milliseconds. */
export interface LoadResult {
  readonly requests: number;
  readonly wallMs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Sends the load and waits for every answer. @throws {Error} On another status than the wanted one. */
export async function sendLoad({ port, connections, requests, status }: Load): Promise<LoadResult> {
  const timesMs: number[] = [];
  const startedMs = performance.now();
  await Promise.all(Array.from({ length: connections }, async (_, index) => {
    const connection = await Deno.connect({ hostname: "127.0.0.1", port });
    const read = createReader(connection);
    for (const request of requests(index)) {
      const sentMs = performance.now();
      await writeAll(connection, request);
      const found = await read();
      if (found !== status) throw new Error(`Expected ${status}, found ${found}`);
      timesMs.push(performance.now() - sentMs);
    }
    connection.close();
  }));
  const sorted = timesMs.toSorted((a, b) => a - b);
  const at = (part: number): number => sorted[Math.floor(sorted.length * part)] ?? 0;
  return { requests: sorted.length, wallMs: performance.now() - startedMs, p50Ms: at(0.5), p99Ms: at(0.99) };
}

/** A whole request. */
export function formatRequest(
  { method, path, headers = {}, body = "" }: {
    method: string;
    path: string;
    headers?: Record<string, string>;
    body?: string;
  },
): Uint8Array {
  const all = { "host": "127.0.0.1", ...headers, ...(body === "" ? {} : { "content-length": String(body.length) }) };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`).join("");
  return new TextEncoder().encode(`${method} ${path} HTTP/1.1\r\n${lines}\r\n${body}`);
}

async function writeAll(connection: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let sent = 0; sent < bytes.length;) sent += await connection.write(bytes.subarray(sent));
}

/** Reads one answer to its end and tells its status. Answers here are ASCII and have a length, or no body. */
function createReader(connection: Deno.Conn): () => Promise<number> {
  const buffer = new Uint8Array(65_536);
  const decoder = new TextDecoder("latin1");
  let text = "";
  return async () => {
    for (;;) {
      const headEnd = text.indexOf("\r\n\r\n");
      if (headEnd >= 0) {
        const head = text.slice(0, headEnd);
        const length = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0);
        const end = headEnd + 4 + length;
        if (text.length >= end) {
          text = text.slice(end);
          return Number(head.slice(9, 12));
        }
      }
      const size = await connection.read(buffer);
      if (size === null) throw new Error("The server closed the connection");
      text += decoder.decode(buffer.subarray(0, size));
    }
  };
}

/** CPU time that a process and its threads have used, in milliseconds (proc_pid_stat(5), fields 14 and 15). */
export function cpuMs(pid: number): number {
  const fields = Deno.readTextFileSync(`/proc/${pid}/stat`).replace(/^.*\) /, "").split(" ");
  const TICK_MS = 10; // USER_HZ is 100 on every Linux that Deno runs on.
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}
