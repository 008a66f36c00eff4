import assert from "node:assert/strict";
import { createRateLimit } from "./rate_limit.ts";

Deno.test("a rate limit permits a burst, then so many a minute", () => {
  const limit = createRateLimit({ burst: 3, perMinute: 6 });
  assert.deepEqual([0, 0, 0, 0].map((ms) => limit("192.0.2.1", ms)), [null, null, null, 10]);
  assert.equal(limit("192.0.2.1", 5000), 5);
  assert.equal(limit("192.0.2.1", 10_000), null);
  assert.equal(limit("192.0.2.1", 10_000), 10);
  assert.deepEqual([0, 0, 0, 0].map(() => limit("192.0.2.1", 3_600_000)), [null, null, null, 10]);
});

Deno.test("a rate limit counts each address for itself, and a /64 of IPv6 as one", () => {
  const limit = createRateLimit({ burst: 1, perMinute: 1 });
  const found = ["192.0.2.1", "192.0.2.2", "2001:db8:0:1::1", "2001:db8:0:1::2", "2001:db8:0:2::1", "::ffff:192.0.2.1"]
    .map((address) => limit(address, 0) === null);
  assert.deepEqual(found, [true, true, true, false, true, true]);
});

Deno.test("a rate limit stands a clock that is set back", () => {
  const limit = createRateLimit({ burst: 1, perMinute: 60 });
  assert.equal(limit("192.0.2.1", 1_000_000), null);
  assert.equal(limit("192.0.2.1", 0), 1);
  assert.equal(limit("192.0.2.1", 1000), null);
});

Deno.test("a rate limit forgets the address that was quiet longest", () => {
  const limit = createRateLimit({ burst: 1, perMinute: 1 });
  for (let host = 0; host < 10_000; host += 1) limit(`host-${host}`, 0);
  assert.notEqual(limit("host-0", 0), null); // Known, and heard of just now.
  limit("host-new", 0);
  assert.notEqual(limit("host-0", 0), null);
  assert.equal(limit("host-1", 0), null);
});
