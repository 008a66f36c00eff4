/**
 * Reading request bodies: the type that is wanted, a number of bytes, a time (protocol 6.2).
 * @module
 */
import {
  type Bytes,
  concatBytes,
  decodeUtf8,
  OtaError,
  type Parser,
  REQUEST_LIMITS,
  SchemaError,
} from "@nix-ota/common";

/** What a body may be. */
export interface BodyRule {
  readonly contentType: string;
  readonly maxBytes: number;
  /** Milliseconds from the first look at the body to its last byte; protocol 6.2 unless told. */
  readonly receiveMs?: number;
}

/**
 * Reads a body. What is announced as too large is not read at all; what turns out to be is read no further.
 *
 * @throws {OtaError} `unsupported_media_type`, `body_too_large`, `request_timeout`, or `request_invalid` where it was cut.
 */
export async function readBody(request: Request, rule: BodyRule): Promise<Bytes> {
  checkType(request.headers, rule);
  const announced = Number(request.headers.get("content-length") ?? 0);
  if (announced > rule.maxBytes) throw tooLarge(rule);
  if (request.body === null) return new Uint8Array();
  const reader = request.body.getReader();
  const late = Promise.withResolvers<never>();
  const receiveMs = rule.receiveMs ?? REQUEST_LIMITS.receiveMs;
  const timer = setTimeout(() => {
    late.reject(
      new OtaError("request_timeout", `Cannot read the body as it was not received within ${receiveMs / 1000} s`),
    );
  }, receiveMs);
  try {
    return await Promise.race([readAll(reader, rule), late.promise]);
  } finally {
    clearTimeout(timer);
    // Lets go of what was not read; on a body that was, this does nothing.
    reader.cancel().catch(() => {});
  }
}

function checkType(headers: Headers, { contentType }: BodyRule): void {
  const found = headers.get("content-type") ?? "";
  const [type = ""] = found.split(";");
  if (type.trim().toLowerCase() !== contentType) {
    throw new OtaError("unsupported_media_type", `Cannot read a body of type "${found}": wanted "${contentType}"`);
  }
  const encoding = headers.get("content-encoding");
  if (encoding !== null && encoding.toLowerCase() !== "identity") {
    throw new OtaError(
      "unsupported_media_type",
      `Cannot read a body with the encoding "${encoding}": send it as it is`,
    );
  }
}

async function readAll(reader: ReadableStreamDefaultReader<Uint8Array>, rule: BodyRule): Promise<Bytes> {
  const chunks: Bytes[] = [];
  let size = 0;
  for (;;) {
    const { done, value } = await nextChunk(reader);
    if (done) return concatBytes(...chunks);
    size += value.length;
    if (size > rule.maxBytes) throw tooLarge(rule);
    chunks.push(new Uint8Array(value));
  }
}

async function nextChunk(
  reader: ReadableStreamDefaultReader<Uint8Array>,
): Promise<ReadableStreamReadResult<Uint8Array>> {
  try {
    return await reader.read();
  } catch (cause) {
    throw new OtaError("request_invalid", "Cannot read the body as it ended before its announced length", { cause });
  }
}

function tooLarge({ maxBytes }: BodyRule): OtaError {
  return new OtaError("body_too_large", `Cannot read the body as it has more than ${maxBytes} bytes`);
}

/**
 * Reads a JSON body of the operator API.
 * @throws {OtaError} As {@link readBody}, and `request_invalid` where it is not what `parser` wants.
 */
export async function parseJsonBody<T>(request: Request, parser: Parser<T>): Promise<T> {
  const bytes = await readBody(request, { contentType: "application/json", maxBytes: REQUEST_LIMITS.operatorBytes });
  try {
    return parser(JSON.parse(decodeUtf8(bytes)), "body");
  } catch (cause) {
    if (!(cause instanceof SchemaError || cause instanceof SyntaxError || cause instanceof OtaError)) throw cause;
    const why = cause instanceof SchemaError ? cause.message : "it is not JSON";
    throw new OtaError("request_invalid", `Cannot read the body: ${why}`, { cause });
  }
}
