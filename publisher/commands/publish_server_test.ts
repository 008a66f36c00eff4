import assert from "node:assert/strict";
import {
  encodeUtf8,
  formatEnvelope,
  formatOpenSshPublicKey,
  formatRelease,
  PROBLEM_CONTENT_TYPE,
  signEnvelope,
} from "@nix-ota/common";
import { type FakeControl, hold, problem, startControl } from "../testing/fake_control.ts";
import { checkRows, type Row } from "../testing/rows.ts";
import { makeKeyFile, makeWorld } from "../testing/world.ts";

/** A row in which the server answers a kind of request otherwise. */
function answers(
  name: string,
  { to, by, code, says }: {
    to: "current" | "publish";
    by: (request: Request, control: FakeControl) => Response | Promise<Response>;
    code: number;
    says: RegExp;
  },
): Row {
  return {
    name: `${name} to ${to}`,
    given: ({ control }) => {
      control.intercept = (request, path) =>
        path.endsWith(`/${to}`) ? Promise.resolve(by(request, control)) : undefined;
      return {};
    },
    code,
    says,
  };
}

const html = (status: number): Response =>
  new Response("<html>proxy</html>", { status, headers: { "content-type": "text/html" } });

Deno.test("publish says what is wrong with the server's answers", (t) =>
  checkRows(t, [
    {
      name: "nothing listens there",
      given: async () => {
        const gone = startControl();
        await gone[Symbol.asyncDispose]();
        return { options: { server: gone.url } };
      },
      code: 5,
      says: /Cannot read the current release of channel "prod": the server http.* does not answer, connection refused/,
    },
    {
      name: "a host that is not known",
      given: () => ({ options: { server: "https://nowhere.invalid" } }),
      code: 5,
      says: /the server https:\/\/nowhere\.invalid does not answer, /,
    },
    {
      name: "https where http is spoken",
      given: ({ control }) => ({ options: { server: control.url.replace("http:", "https:") } }),
      code: 5,
      says: /does not answer, /,
    },
    answers("rubbish", {
      to: "current",
      by: () => new Response("hello"),
      code: 3,
      says: /Cannot follow the server's current/,
    }),
    answers("no text", {
      to: "current",
      by: () => new Response(Uint8Array.of(0xff, 0xfe)),
      code: 3,
      says: /not valid UTF-8/,
    }),
    answers("an endless document", {
      to: "current",
      by: () => {
        const chunk = new Uint8Array(65_536);
        return new Response(new ReadableStream({ pull: (controller) => controller.enqueue(chunk) }));
      },
      code: 5,
      says: /does not answer, an answer of more than 1\.0 MiB/,
    }),
    answers("a redirect", {
      to: "current",
      by: () => new Response(null, { status: 302, headers: { location: "https://evil.example.org/x" } }),
      code: 5,
      says: /redirects \(302\) to https:\/\/evil\.example\.org, which is not followed with a token/,
    }),
    answers("404 of something else", {
      to: "current",
      by: () => html(404),
      code: 5,
      says: /answers 404, which is not what a nix-ota server would say/,
    }),
    answers("401", {
      to: "current",
      by: () => problem("unauthorized", "closed"),
      code: 4,
      says: /does not accept the token \(give a valid one with --token-file\)/,
    }),
    answers("500", {
      to: "current",
      by: () => problem("internal", "The server failed"),
      code: 5,
      says: /: The server failed \(says the server http/,
    }),
    answers("a proxy's 502", { to: "current", by: () => html(502), code: 5, says: /fails with 502/ }),
    answers("401", {
      to: "publish",
      by: () => problem("unauthorized", "no"),
      code: 4,
      says: /Cannot publish .*the token/,
    }),
    answers("403", {
      to: "publish",
      by: () => problem("forbidden", "The token may only read"),
      code: 4,
      says: /: The token may only read \(says the server http\S+, asked to publish on channel "prod"\)/,
    }),
    answers("409 though nothing moved", {
      to: "publish",
      by: () => problem("revision_conflict", "The channel is at revision 9", { highest: 9 }),
      code: 4,
      says: /The channel is at revision 9 \(says the server http\S+, asked to publish revision 1 on channel "prod"\)/,
    }),
    answers("413", {
      to: "publish",
      by: () => problem("body_too_large", "Too large"),
      code: 4,
      says: /: Too large \(says the server/,
    }),
    answers("a proxy's 413", { to: "publish", by: () => html(413), code: 5, says: /answers 413, which/ }),
    answers("422", {
      to: "publish",
      by: () => problem("signatures_insufficient", "Cannot trust the document as 0 of 1 needed signatures are valid"),
      code: 4,
      says: /: Cannot trust the document as 0 of 1 needed/,
    }),
    answers("500", {
      to: "publish",
      by: () => problem("internal", "The server failed."),
      code: 5,
      says: /The server failed \(says/,
    }),
    answers("201 and rubbish", {
      to: "publish",
      by: () => new Response("ok", { status: 201 }),
      code: 5,
      says: /it is no JSON/,
    }),
    answers("201 and another form", {
      to: "publish",
      by: () => Response.json({ channel: "prod" }, { status: 201 }),
      code: 5,
      says: /is not that of a nix-ota server, answer\.revision must be/,
    }),
    answers("201 for another release", {
      to: "publish",
      by: () => Response.json({ channel: "prod", revision: 7, digest: `sha256:${"0".repeat(64)}` }, { status: 201 }),
      code: 5,
      says: /Cannot tell what was published as the server says it took revision 7/,
    }),
    answers("terminal controls in the words", {
      to: "publish",
      by: () =>
        new Response(JSON.stringify({ code: "forbidden", detail: "a\u001b[2Jb\u202ec" }), {
          status: 403,
          headers: { "content-type": PROBLEM_CONTENT_TYPE },
        }),
      code: 4,
      says: /: abc \(says the server/,
    }),
    {
      name: "the token is wrong",
      given: async ({ tokenFile }) => {
        await Deno.writeTextFile(tokenFile, "nota_wrong_token_0123456789");
        return {};
      },
      code: 4,
      says: /does not accept the token/,
    },
  ]));

Deno.test("publish believes only a current release that its own keys signed", async (t) => {
  await using world = await makeWorld();
  const rival = await makeKeyFile(`${world.folder}/rival.key`);
  assert.equal((await world.publish({ key: `${world.folder}/rival.key`, revision: "9007199254740990" })).code, 0);
  const refused = await world.publish();
  assert.equal(refused.code, 3);
  assert.match(refused.stderr, /it is signed by none of the keys given .*--trust/);
  assert.equal(world.control.releases.length, 1);
  await t.step("unless the old key is named", async () => {
    await Deno.writeTextFile(`${world.folder}/rival.pub`, formatOpenSshPublicKey(rival.publicKey));
    const { code, stderr } = await world.publish({ trust: `${world.folder}/rival.pub` });
    assert.equal(code, 0, stderr);
    assert.equal(world.control.releases.at(-1)?.release.revision, 9007199254740991);
  });
  await t.step("and not one of another channel or fleet", async () => {
    const trust = `${world.folder}/rival.pub`;
    assert.match((await world.publish({ trust, channel: "test" })).stderr, /channel "prod": wanted "test"/);
    assert.match((await world.publish({ trust, fleet: "b" })).stderr, /fleet "default": wanted "b"/);
  });
  await t.step("and nothing comes after the last revision", async () => {
    const { code, stderr } = await world.publish();
    assert.equal(code, 2);
    assert.match(stderr, /revision must be an integer/);
  });
});

Deno.test("publish does not try again where a conflict is not a race", async (t) => {
  for (const before of [0, 1]) {
    await t.step(`${before} releases before`, async () => {
      await using world = await makeWorld();
      for (let count = 0; count < before; count++) assert.equal((await world.publish()).code, 0);
      const posts = (): number => world.control.requests.filter((request) => request.startsWith("POST ")).length;
      const postsBefore = posts();
      const refuse = (): Response => problem("revision_conflict", "The channel is at revision 9", { highest: 9 });
      world.control.intercept = (_, path) => path.endsWith("/publish") ? refuse() : undefined;
      assert.equal((await world.publish()).code, 4);
      assert.equal(posts() - postsBefore, 1);
    });
  }
});

Deno.test("publish gives up after five races", async () => {
  await using world = await makeWorld();
  let head = 0;
  world.control.intercept = async (request, path) => {
    if (path.endsWith("/current")) {
      if (head === 0) return undefined;
      return new Response(world.control.releases.at(-1)?.envelope ?? null);
    }
    if (!path.endsWith("/publish")) return undefined;
    // Whatever is sent, a rival with the same key is one ahead.
    const { release } = await hold(new Uint8Array(await request.arrayBuffer()));
    const rival = formatRelease({ ...release, notes: "rival" });
    const envelope = formatEnvelope(await signEnvelope("release", rival, [world.signer]));
    world.control.releases.push(await hold(encodeUtf8(envelope)));
    head = release.revision;
    return problem("revision_conflict", `The channel is at revision ${head}`, { highest: head });
  };
  const { code, stderr } = await world.publish();
  assert.equal(code, 4, stderr);
  assert.equal(stderr.match(/was published meanwhile: signing for the next one/g)?.length, 4);
  assert.equal(head, 5);
});

Deno.test("publish --revision must be above the current one", async () => {
  await using world = await makeWorld();
  assert.equal((await world.publish({ revision: "41" })).code, 0);
  const { code, stderr } = await world.publish({ revision: "41" });
  assert.equal(code, 3);
  assert.match(stderr, /Cannot publish revision 41 as channel "prod" is at revision 41: wanted at least 42/);
});

Deno.test("publish goes well without a listing, and shows no difference that no digest proves", async () => {
  await using world = await makeWorld();
  world.control.intercept = (request) => request.method === "PUT" ? problem("internal", "disk full") : undefined;
  const first = await world.publish();
  assert.equal(first.code, 0, first.stderr);
  assert.match(first.stderr, /listing +disk full \(says the server.*devices do without/);
  world.control.listings.set("/channels/prod/releases/1/closures/x86_64-linux/default", "lies\n");
  const second = await world.publish({ "store-path": await world.addSystem(2) });
  assert.equal(second.code, 0, second.stderr);
  assert.match(second.stderr, /nothing to compare with/);
});

Deno.test("publish stops at Ctrl-C before anything is sent", async () => {
  await using world = await makeWorld();
  world.cache.intercept = async (_, path) => {
    if (path.endsWith(".narinfo")) await new Promise((resolve) => setTimeout(resolve, 1500));
    return new Response("", { status: 404 });
  };
  const before = world.cache.intercept;
  world.cache.intercept = (request, path) => path === "/nix-cache-info" ? undefined : before(request, path);
  const { code, stderr, stdout } = await world.publish({ out: `${world.folder}/x` }, {
    interrupt: { after: "closure" },
  });
  assert.equal(code, 130, stderr);
  assert.match(stderr, /Interrupted while checking the binary cache/);
  assert.equal(stdout, "");
  assert.deepEqual(world.control.requests, []);
  const left = (await Array.fromAsync(Deno.readDir(world.folder))).map(({ name }) => name).sort();
  assert.deepEqual(left, ["fake-nix", "sign.key", "token"]);
});

Deno.test("publish warns where the clock here is behind the current release", async () => {
  await using world = await makeWorld();
  assert.equal((await world.publish()).code, 0);
  const [held] = world.control.releases;
  assert.ok(held);
  const issued = "2999-01-01T00:00:00Z";
  const payload = formatRelease({ ...held.release, issued, expires: "2999-02-01T00:00:00Z" });
  const envelope = formatEnvelope(await signEnvelope("release", payload, [world.signer]));
  world.control.releases.splice(0, 1, await hold(encodeUtf8(envelope)));
  const { code, stderr } = await world.publish();
  assert.equal(code, 0, stderr);
  assert.match(stderr, /! clock +the current release is of 2999-01-01T00:00:00Z, which is later than the clock here/);
});
