import assert from "node:assert/strict";
import { OtaError, schema } from "@nix-ota/common";
import { parseJsonBody, readBody } from "./body.ts";

const RULE = { contentType: "text/plain", maxBytes: 10 } as const;

function request(body: BodyInit | null, headers: Record<string, string> = {}): Request {
  return new Request("http://localhost/", {
    method: "POST",
    body,
    headers: { "content-type": "text/plain", ...headers },
  });
}

async function codeOf(work: Promise<unknown>): Promise<string | null> {
  try {
    await work;
    return null;
  } catch (error) {
    assert.ok(error instanceof OtaError, String(error));
    return error.code;
  }
}

Deno.test("readBody() reads up to the limit, and not one byte more", async () => {
  assert.equal((await readBody(request("0123456789"), RULE)).length, 10);
  assert.equal((await readBody(request(null), RULE)).length, 0);
  assert.equal(await codeOf(readBody(request("0123456789a"), RULE)), "body_too_large");
});

Deno.test("readBody() lets go of a body that is too large", async () => {
  let pulled = 0;
  let cancelled = false;
  const endless = new ReadableStream({
    pull: (controller) => {
      pulled += 1;
      controller.enqueue(new Uint8Array(4));
    },
    cancel: () => void (cancelled = true),
  });
  assert.equal(await codeOf(readBody(request(endless), RULE)), "body_too_large");
  assert.ok(cancelled);
  assert.ok(pulled < 10, `read ${pulled} chunks`);
});

Deno.test("readBody() gives up when a body comes too slowly", async () => {
  let cancelled = false;
  const slow = new ReadableStream({
    start: (controller) => controller.enqueue(new Uint8Array(1)),
    cancel: () => void (cancelled = true),
  });
  assert.equal(await codeOf(readBody(request(slow), { ...RULE, receiveMs: 20 })), "request_timeout");
  assert.ok(cancelled);
});

Deno.test("readBody() trusts no announced length", async () => {
  assert.equal(await codeOf(readBody(request("x", { "content-length": "11" }), RULE)), "body_too_large");
  assert.equal(await codeOf(readBody(request("0123456789a", { "content-length": "1" }), RULE)), "body_too_large");
  assert.equal((await readBody(request("abc", { "content-length": "many" }), RULE)).length, 3);
});

Deno.test("parseJsonBody() says where the JSON is wrong", async () => {
  const parser = schema.closed({ fingerprint: schema.string({ max: 3, wanted: "3 letters" }) });
  const send = (body: BodyInit): Request => request(body, { "content-type": "application/json" });
  assert.deepEqual(await parseJsonBody(send('{ "fingerprint": "abc" }'), parser), { fingerprint: "abc" });
  for (const wrong of ["", "{", "null", "[]", '{"fingerprint":"abcd"}', "{}", '{"fingerprint":"a","b":1}']) {
    assert.equal(await codeOf(parseJsonBody(send(wrong), parser)), "request_invalid", wrong);
  }
  assert.equal(await codeOf(parseJsonBody(send(Uint8Array.of(0xff)), parser)), "request_invalid");
});
