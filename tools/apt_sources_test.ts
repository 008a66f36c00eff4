import assert from "node:assert/strict";
import { debianMirror, parseAptSources } from "./apt_sources.ts";

const DEB822 = `# a comment with URIs: http://elsewhere.example/debian
Types: deb deb-src
# snapshot of that day
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
`;

Deno.test("parseAptSources() reads deb822 entries and skips comments inside them", () => {
  const [first, second, ...others] = parseAptSources("debian.sources", DEB822);
  assert.deepEqual(first, {
    uris: ["http://mirror.example/debian"],
    suites: ["bookworm", "bookworm-updates"],
    components: ["main", "contrib"],
    signedBy: "/usr/share/keyrings/debian-archive-keyring.gpg",
  });
  assert.equal(second?.signedBy, undefined);
  assert.deepEqual(others, []);
});

Deno.test("parseAptSources() keeps an embedded key with its lines", () => {
  const text = "Types: deb\nURIs: http://m.example/debian\nSuites: trixie\nComponents: main\n" +
    "Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc=\n -----END PGP PUBLIC KEY BLOCK-----\n";
  const [source] = parseAptSources("x.sources", text);
  const lines = source?.signedBy?.split("\n");
  assert.equal(lines?.[0], "-----BEGIN PGP PUBLIC KEY BLOCK-----");
  assert.equal(lines?.[1], " .");
  assert.equal(lines?.length, 4);
});

Deno.test("parseAptSources() leaves out what is switched off or has no binaries", () => {
  const off = "Enabled: no\nTypes: deb\nURIs: http://m.example/debian\nSuites: sid\nComponents: main\n";
  assert.deepEqual(parseAptSources("x.sources", off), []);
  assert.deepEqual(parseAptSources("x.sources", off.replace("Enabled: no", "X: y").replace("deb", "deb-src")), []);
  assert.deepEqual(parseAptSources("sources.list", "# deb http://m.example/debian sid main\ndeb-src a b c\n"), []);
});

Deno.test("parseAptSources() reads one-line entries with and without options", () => {
  const text = "deb http://m.example/debian bookworm main contrib # the rest\n" +
    "deb [arch=amd64 signed-by=/k.gpg] https://m.example/debian trixie main\n";
  assert.deepEqual(parseAptSources("sources.list", text), [
    { uris: ["http://m.example/debian"], suites: ["bookworm"], components: ["main", "contrib"], signedBy: undefined },
    { uris: ["https://m.example/debian"], suites: ["trixie"], components: ["main"], signedBy: "/k.gpg" },
  ]);
});

Deno.test("debianMirror() takes the archive and not security, vendors or a CD", async (t) => {
  const cases: [name: string, line: string, expected: string | undefined][] = [
    ["the archive", "deb http://m.example/debian bookworm main", "http://m.example/debian"],
    [
      "a mirror list",
      "deb mirror+file:/etc/apt/mirrors/debian.list sid main",
      "mirror+file:/etc/apt/mirrors/debian.list",
    ],
    ["security only", "deb http://m.example/debian-security bookworm-security main", undefined],
    ["a vendor", "deb https://vendor.example/apt nodistro main", undefined],
    ["another distribution", "deb http://m.example/ubuntu noble main", undefined],
    ["a CD", "deb cdrom:[Debian]/ bookworm main", undefined],
    ["no main component", "deb http://m.example/debian bookworm contrib", undefined],
  ];
  for (const [name, line, expected] of cases) {
    await t.step(name, () => assert.equal(debianMirror(parseAptSources("sources.list", line))?.uri, expected));
  }
});
