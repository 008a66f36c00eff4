import assert from "node:assert/strict";
import { type Chain, type ChainStep, continueChain, type Link } from "./checkin_chain.ts";

const CHAIN: Chain = { seq: 5, nonce: "now", previousNonce: "before", bootId: "b", earlierBoots: ["a"] };
const LINK: Link = { seq: 6, nonce: "now", bootId: "b" };

Deno.test("continueChain() judges each link", async (t) => {
  const cases: [string, Partial<Chain>, Partial<Link>, ChainStep["kind"], boolean][] = [
    ["the next one", {}, {}, "continued", false],
    ["after a gap", {}, { seq: 50 }, "continued", false],
    ["with the nonce before", {}, { nonce: "before" }, "continued", false],
    ["with an older nonce", {}, { nonce: "old" }, "stale", false],
    ["without a nonce", {}, { nonce: "" }, "stale", false],
    ["without a nonce where none was before", { previousNonce: "" }, { nonce: "" }, "stale", false],
    ["the same again", {}, { seq: 5 }, "replayed", false],
    ["an older one with the right nonce", {}, { seq: 4 }, "replayed", false],
    ["a new boot", {}, { bootId: "c" }, "continued", false],
    ["a boot from before", {}, { bootId: "a" }, "continued", true],
    ["the first boot of all", { bootId: "", earlierBoots: [] }, {}, "continued", false],
  ];
  for (const [name, chain, link, kind, returned] of cases) {
    await t.step(name, () => {
      const step = continueChain({ ...CHAIN, ...chain }, { ...LINK, ...link }, "new");
      assert.deepEqual([step.kind, step.kind === "continued" && step.returnedBoot], [kind, returned]);
    });
  }
});

Deno.test("continueChain() accepts the same nonce for as long as its answers are lost", () => {
  let chain = CHAIN;
  for (let seq = 6; seq < 20; seq += 1) {
    const step = continueChain(chain, { ...LINK, seq }, `new-${seq}`);
    assert.ok(step.kind === "continued");
    chain = step.chain;
  }
  assert.equal(continueChain(chain, { ...LINK, seq: 20, nonce: "new-19" }, "next").kind, "continued");
  assert.equal(continueChain(chain, { ...LINK, seq: 20, nonce: "new-18" }, "next").kind, "stale");
});

Deno.test("continueChain() remembers a few boots, each once", () => {
  let chain: Chain = { ...CHAIN, bootId: "", earlierBoots: [] };
  ["a", "b", "c", "b", "d", "e", "f", "g"].forEach((bootId, index) => {
    const step = continueChain(chain, { seq: 10 + index, nonce: chain.nonce, bootId }, `n${index}`);
    assert.ok(step.kind === "continued");
    chain = step.chain;
  });
  assert.deepEqual([chain.bootId, chain.earlierBoots], ["g", ["f", "e", "d", "b"]]);
});
