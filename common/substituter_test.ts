import assert from "node:assert/strict";
import fc from "fast-check";
import { SchemaError } from "./schema.ts";
import { parseSubstituterUrl, Substituter, SUBSTITUTER_URL_MAX } from "./substituter.ts";
import { TEST_CACHE_KEY } from "./testing/documents.ts";

const ACCEPTED: readonly [text: string, href: string][] = [
  ["https://cache.example.org", "https://cache.example.org"],
  ["https://cache.example.org/", "https://cache.example.org"],
  ["https://cache.example.org/team-a/", "https://cache.example.org/team-a"],
  ["https://cache.example.org/a/b.c_d~e+f=g:h", "https://cache.example.org/a/b.c_d~e+f=g:h"],
  ["HTTPS://Cache.Example.ORG/Team", "https://cache.example.org/Team"],
  ["http://cache.example.org", "http://cache.example.org"],
  ["http://cache.example.org:80", "http://cache.example.org"],
  ["http://cache.example.org:443", "http://cache.example.org:443"],
  ["https://cache.example.org:443/", "https://cache.example.org"],
  ["https://cache.example.org:00443", "https://cache.example.org"],
  ["https://cache.example.org:", "https://cache.example.org"],
  ["https://cache.example.org:1", "https://cache.example.org:1"],
  ["https://cache.example.org:65535", "https://cache.example.org:65535"],
  ["https://localhost:5000", "https://localhost:5000"],
  ["https://under_score.example", "https://under_score.example"],
  ["https://192.0.2.7:8080/x", "https://192.0.2.7:8080/x"],
  ["https://3221225991", "https://192.0.2.7"],
  ["https://0xc0.0.2.7", "https://192.0.2.7"],
  ["https://[2001:db8::1]", "https://[2001:db8::1]"],
  ["https://[2001:DB8:0:0::1]:8080/x", "https://[2001:db8::1]:8080/x"],
  ["https://[::ffff:192.0.2.7]", "https://[::ffff:c000:207]"],
  ["https://xn--bcher-kva.example", "https://xn--bcher-kva.example"],
  [`https://${"a.".repeat(126)}b`, `https://${"a.".repeat(126)}b`], // 253 characters.
  ["https://cache.example.org/./x", "https://cache.example.org/x"],
  ["https://cache.example.org/a/../../b", "https://cache.example.org/b"],
  ["https://cache.example.org/..", "https://cache.example.org"],
  ["https://cache.example.org/...", "https://cache.example.org/..."],
  [`https://cache.example.org/${"x".repeat(486)}`, `https://cache.example.org/${"x".repeat(486)}`],
];

for (const [text, href] of ACCEPTED) {
  Deno.test(`parseSubstituterUrl() reads ${text.slice(0, 60)}`, () => {
    const url = parseSubstituterUrl(text);
    assert.equal(url.href, href);
    assert.deepEqual(parseSubstituterUrl(url.href), url);
  });
}

/** What somebody tried once, or could. */
const HOSTILE: readonly string[] = [
  // Settings of Nix in the query: the first switches its signature check off.
  "https://cache.example.org?trusted=1",
  "https://cache.example.org/?trusted=1",
  "https://cache.example.org/?trusted=true&priority=1",
  "https://cache.example.org?",
  "https://cache.example.org/x?y",
  "https://cache.example.org?secret-key=/etc/shadow",
  "https://cache.example.org?local-nar-cache=/etc",
  "https://cache.example.org?ssh-key=/root/.ssh/id_ed25519",
  "https://cache.example.org?remote-program=reboot",
  "https://cache.example.org?remote-store=/",
  "https://cache.example.org?compression=none&want-mass-query=false",
  "https://cache.example.org/%3Ftrusted=1",
  "https://cache.example.org/%3ftrusted%3d1",
  "https://cache.example.org/\uff1ftrusted=1",
  "https://cache.example.org#",
  "https://cache.example.org#?trusted=1",
  "https://cache.example.org/#fragment",
  // Other stores than caches.
  "file:///var/cache/nix",
  "file://localhost/var/cache/nix",
  "file:/etc",
  "/var/cache/nix",
  "./cache",
  "../cache",
  "~/cache",
  "ssh://builder.example.org",
  "ssh://-oProxyCommand=reboot/x",
  "ssh-ng://builder.example.org",
  "ssh-ng://-oProxyCommand=reboot",
  "s3://bucket",
  "s3://bucket?endpoint=evil.example&profile=root",
  "unix:///nix/var/nix/daemon-socket/socket",
  "unix:///run/x?trusted=1",
  "daemon",
  "daemon?trusted=1",
  "local",
  "local?root=/",
  "auto",
  "dummy://",
  "mounted-ssh-ng://host",
  "local-overlay://?root=/",
  "ftp://cache.example.org",
  "ws://cache.example.org",
  "wss://cache.example.org",
  "gopher://cache.example.org",
  "data:text/plain,x",
  "javascript:alert(1)",
  "blob:https://cache.example.org/x",
  "about:blank",
  "nix-cache-info",
  "https",
  "https:",
  "https:/",
  "https://",
  "https:///",
  "https:///cache.example.org",
  "https:////cache.example.org",
  "https:cache.example.org",
  "https:/cache.example.org",
  "//cache.example.org",
  "://cache.example.org",
  "cache.example.org",
  "cache.example.org:443",
  "https//cache.example.org",
  "httpss://cache.example.org",
  "https+unix://x",
  "http+https://x",
  "https://https://cache.example.org",
  // User names, which curl would send and logs would keep.
  "https://user@cache.example.org",
  "https://user:password@cache.example.org",
  "https://:password@cache.example.org",
  "https://@cache.example.org",
  "https://:@cache.example.org",
  "https://cache.example.org@evil.example",
  "https://cache.example.org:443@evil.example",
  "https://cache.example.org%40evil.example",
  "https://user%3apassword@cache.example.org",
  // Lists: a second substituter, or an option for a command line.
  "https://cache.example.org https://evil.example",
  "https://cache.example.org\thttps://evil.example",
  "https://cache.example.org\nhttps://evil.example",
  "https://cache.example.org\r\nextra-substituters = https://evil.example",
  "https://cache.example.org,https://evil.example",
  "https://cache.example.org;https://evil.example",
  "https://cache.example.org\u00a0https://evil.example",
  "https://cache.example.org\u2003x",
  " https://cache.example.org",
  "https://cache.example.org ",
  "\thttps://cache.example.org",
  "https://cache.example.org\n",
  "https://cache.exa mple.org",
  "--option",
  "-v",
  "--store=https://cache.example.org",
  // Hosts.
  "https://-oProxyCommand=reboot",
  "https://-cache.example.org",
  "https://cache-.example.org",
  "https://cache.-example.org",
  "https://cache.example.org-",
  "https://cache.example.org.",
  "https://cache.example.org..",
  "https://cache..example.org",
  "https://.cache.example.org",
  "https://.",
  "https://..",
  "https://-",
  "https://*.example.org",
  "https://cache.example.org!",
  "https://$host",
  "https://${host}",
  "https://$(reboot)",
  "https://`reboot`",
  "https://a&b",
  "https://a=b",
  "https://a+b",
  "https://a~b",
  "https://(a)",
  "https://b\u00fccher.example",
  "https://\u0441ache.example.org", // A Cyrillic es.
  "https://cache\u3002example\u3002org", // Full stops that IDNA maps to dots.
  "https://cache.example.org\u200b",
  "https://cache\u00ad.example.org",
  "https://\u202ecache.example.org",
  "https://xn--",
  "https://xn--a",
  "https://xn--\u00fc",
  "https://256.1.1.1",
  "https://1.2.3.4.5",
  "https://0x100000000",
  "https://4294967296",
  "https://1.2.3.08",
  "https://[",
  "https://[]",
  "https://[::1",
  "https://::1",
  "https://[::g]",
  "https://[1::2::3]",
  "https://[1:2:3:4:5:6:7:8:9]",
  "https://[v1.x]",
  "https://[fe80::1%eth0]",
  "https://[fe80::1%25eth0]",
  "https://[::1]x",
  "https://[::1].example.org",
  `https://${"a.".repeat(126)}bc`,
  `https://${"a.".repeat(200)}example`,
  // Ports.
  "https://cache.example.org:0",
  "https://cache.example.org:00000",
  "https://cache.example.org:65536",
  "https://cache.example.org:99999999999",
  "https://cache.example.org:-1",
  "https://cache.example.org:+1",
  "https://cache.example.org:1e3",
  "https://cache.example.org:0x50",
  "https://cache.example.org:80:80",
  "https://cache.example.org:port",
  "https://cache.example.org:\u0661",
  // Paths.
  "https://cache.example.org//",
  "https://cache.example.org//evil.example",
  "https://cache.example.org//host//path",
  "https://cache.example.org/a//b",
  "https://cache.example.org/a//",
  "https://cache.example.org/a/..//b",
  "https://cache.example.org/%2e%2e",
  "https://cache.example.org/%2F",
  "https://cache.example.org/%00",
  "https://cache.example.org/%0a",
  "https://cache.example.org/%",
  "https://cache.example.org/%zz",
  "https://cache.example.org/a b",
  "https://cache.example.org/a&b",
  "https://cache.example.org/a*b",
  "https://cache.example.org/a!b",
  "https://cache.example.org/(a)",
  "https://cache.example.org/[a]",
  "https://cache.example.org/{a}",
  "https://cache.example.org/a|b",
  "https://cache.example.org/a^b",
  "https://cache.example.org/a'b",
  'https://cache.example.org/a"b',
  "https://cache.example.org/<a>",
  "https://cache.example.org/a,b",
  "https://cache.example.org/a;b",
  "https://cache.example.org/a$b",
  "https://cache.example.org/a@b",
  "https://cache.example.org/\u00fc",
  "https://cache.example.org/\ud83e\udd95",
  "https://cache.example.org/\ud83e",
  // Backslashes, which browsers and WHATWG take for slashes.
  "https:\\\\cache.example.org",
  "https:/\\cache.example.org",
  "https://cache.example.org\\evil.example",
  "https://cache.example.org\\@evil.example",
  "\\\\cache.example.org\\share",
  "C:\\cache",
  // Nothing, and too much.
  "",
  " ",
  "\0",
  "null",
  "undefined",
  "true",
  "[object Object]",
  `https://cache.example.org/${"x".repeat(SUBSTITUTER_URL_MAX)}`,
  `https://cache.example.org/${"x".repeat(1_000_000)}`,
];

Deno.test("parseSubstituterUrl() shows where a refused query or fragment begins, and nothing of it", () => {
  assert.throws(
    () => parseSubstituterUrl("https://cache.example.org/x?trusted=1"),
    /"https:\/\/cache\.example\.org\/x\?…": /,
  );
  assert.throws(() => parseSubstituterUrl("https://cache.example.org#x"), /"https:\/\/cache\.example\.org#…": /);
  assert.throws(() => parseSubstituterUrl("https://me:pw@cache.example.org"), /"https:\/\/…": wanted no user name/);
});

/** Every ASCII character that has no place in a substituter, in the scheme, host, port, path and at both ends. */
function* misplaced(): Generator<string> {
  for (let code = 0; code < 128; code += 1) {
    const character = String.fromCharCode(code);
    if (/[A-Za-z0-9]/.test(character)) continue;
    if (!/[._~+/=:-]/.test(character)) yield `https://cache.example.org/a${character}b`;
    if (!/[._/:-]/.test(character)) yield `https://cache${character}example.org`;
    if (!/[/:]/.test(character)) yield `https://cache.example.org:80${character}80`;
    yield `htt${character}ps://cache.example.org`;
    yield `${character}https://cache.example.org`;
    if (!/[/:_]/.test(character)) yield `https://cache.example.org${character}`;
  }
}

Deno.test("parseSubstituterUrl() refuses what could weaken Nix or mean something else", () => {
  const rows = [...HOSTILE, ...misplaced()];
  assert.ok(rows.length >= 300, `${rows.length} rows`);
  for (const text of rows) {
    assert.throws(
      () => parseSubstituterUrl(text),
      { name: "TypeError", message: /^Cannot use the substituter / },
      text,
    );
  }
});

Deno.test("parseSubstituterUrl() accepts only what Nix reads as one word without a setting, and reads it again alike", () => {
  const piece = fc.constantFrom(
    ..."https:// http:// HTTPS:// file:// // / : @ ? # % & = . .. - _ ~ + [ ] [::1] ::1 0 80 65536 0x7f 127.1 a cache"
      .split(" "),
    ..."example.org trusted=1 xn-- xn--bcher-kva %2e %3f \\ \t \n".split(" "),
    " ",
    "\u00fc",
    "\u3002",
    "\uff0f",
    "\u200b",
  );
  const text = fc.oneof(
    fc.array(piece, { maxLength: 12 }).map((parts) => parts.join("")),
    fc.array(piece, { maxLength: 10 }).map((parts) => `https://${parts.join("")}`),
    fc.webUrl({ withQueryParameters: true, withFragments: true }),
    fc.webUrl(),
    fc.string({ unit: "binary", maxLength: 30 }).map((rest) => `https://cache.example.org/${rest}`),
  );
  let accepted = 0;
  fc.assert(
    fc.property(text, (given) => {
      let href: string;
      try {
        href = parseSubstituterUrl(given).href;
      } catch (error) {
        assert.ok(error instanceof TypeError);
        return;
      }
      accepted += 1;
      assert.match(href, /^https?:\/\/[a-z0-9._[\]:-]+(?:\/[A-Za-z0-9._~+=:/-]+)?$/);
      assert.equal(parseSubstituterUrl(href).href, href);
      const url = new URL(href);
      assert.deepEqual([url.username, url.password, url.search, url.hash], ["", "", "", ""]);
    }),
    { numRuns: 10_000, seed: 6 },
  );
  assert.ok(accepted > 500, `${accepted} accepted: the property says nothing about the rest`);
});

const SECRET_URLS: readonly [text: string, secret: string][] = [
  ["https://user:hunter2@cache.example.org", "hunter2"],
  ["https://user:hunter2/@cache.example.org/x", "hunter2"],
  ["user:hunter2//@cache.example.org", "hunter2"],
  ["https://cache.example.org?X-Signature=hunter2", "hunter2"],
  ["https://cache.example.org?x=@hunter2", "hunter2"],
  ["https://cache.example.org#hunter2", "hunter2"],
];

for (const [text, secret] of SECRET_URLS) {
  Deno.test(`parseSubstituterUrl() does not quote the secret of ${text}`, () => {
    assert.throws(
      () => parseSubstituterUrl(text),
      (error) => error instanceof TypeError && !error.message.includes(secret),
    );
    assert.throws(
      () => Substituter({ url: text, keys: [TEST_CACHE_KEY] }, "at"),
      (error) => error instanceof SchemaError && !error.message.includes(secret),
    );
  });
}
