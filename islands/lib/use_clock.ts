/**
 * The server's clock in the browser, for times such as "12 s ago".
 * @module
 */
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";

/** "12 s ago" is renewed this often. */
const TICK_MS = 5_000;

/**
 * The server's time as well as it is known, in milliseconds since 1970.
 * @param serverMs What the server last said it was.
 */
export function useClock(serverMs: number): number {
  const nowMs = useSignal(serverMs);
  const heard = useRef({ serverMs, atMs: 0 });
  useEffect(() => {
    heard.current = { serverMs, atMs: Date.now() };
    nowMs.value = serverMs;
  }, [serverMs]);
  useEffect(() => {
    const timer = setInterval(() => nowMs.value = heard.current.serverMs + Date.now() - heard.current.atMs, TICK_MS);
    return () => clearInterval(timer);
  }, []);
  return nowMs.value;
}
