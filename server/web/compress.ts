/**
 * Pages in the form that the browser takes with the fewest bytes.
 * @module
 */
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { accepts } from "./assets.ts";

/** Brotli's level for what is made anew for each request: a tenth of the time of the highest, nearly as small. */
const BROTLI_QUALITY = 4;
const GZIP_LEVEL = 5;

/**
 * A response with this text, compressed where the request allows. Nothing secret may be in the text beside what others
 * wrote: its length would tell (BREACH).
 */
export function compressedResponse(
  request: Request,
  text: string,
  { status, headers }: { status: number; headers: Headers },
): Response {
  const accepted = request.headers.get("accept-encoding") ?? "";
  if (accepts(accepted, "br")) {
    const params = { [constants.BROTLI_PARAM_QUALITY]: BROTLI_QUALITY };
    headers.set("content-encoding", "br");
    return new Response(new Uint8Array(brotliCompressSync(text, { params })), { status, headers });
  }
  if (accepts(accepted, "gzip")) {
    headers.set("content-encoding", "gzip");
    return new Response(new Uint8Array(gzipSync(text, { level: GZIP_LEVEL })), { status, headers });
  }
  return new Response(text, { status, headers });
}
