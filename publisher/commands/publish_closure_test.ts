import { checkRows, type Row } from "../testing/rows.ts";
import { makeSystem, storePathOf } from "../testing/closures.ts";

/** A row whose store path is what `path` makes. */
function path(name: string, given: string | ((folder: string) => Promise<string>), says: RegExp): Row {
  return {
    name,
    given: async ({ folder }) => ({
      options: { "store-path": typeof given === "string" ? given : await given(folder) },
    }),
    code: 2,
    says,
  };
}

const HASH = "0".repeat(32);

Deno.test("publish refuses what is no system in the store", (t) =>
  checkRows(t, [
    path("nothing", "./nonexistent", /Cannot publish ".\/nonexistent": it does not exist \(build the system/),
    path("empty", "", /Cannot publish ""/),
    path("a file elsewhere", "/etc/passwd", /"\/etc\/passwd": it is neither in \/nix\/store nor a link to there/),
    path("a derivation", `/nix/store/${HASH}-a.drv`, /it is a derivation/),
    path("a path inside", `/nix/store/${HASH}-a/bin`, /cannot read .* as a store path/),
    path("a damaged hash", "/nix/store/eeee-a", /cannot read .* as a store path/),
    path("an option", "--help", /--store-path needs a value, found the option --help/),
    path("a circle of links", async (folder) => {
      await Deno.symlink("b", `${folder}/a`);
      await Deno.symlink("a", `${folder}/b`);
      return `${folder}/a`;
    }, /Cannot publish ".*\/a": /),
    path("a link to nowhere", async (folder) => {
      await Deno.symlink("/nonexistent", `${folder}/a`);
      return `${folder}/a`;
    }, /Cannot publish ".*\/a": it does not exist/),
    path("a path that Nix does not know", `/nix/store/${HASH}-a`, /nix cannot walk its closure, path .* is not valid/),
    {
      name: "no system at all",
      given: () => ({ options: { "store-path": undefined } }),
      code: 2,
      says: /--store-path is/,
    },
    {
      name: "no Nix",
      given: ({ folder }) => ({ run: { env: { PATH: `${folder}/empty` } } }),
      code: 2,
      says: /there is no nix on PATH/,
    },
    {
      name: "Nix fails",
      given: async ({ nix }) => {
        const storePath = await storePathOf("broken");
        await nix.fail(storePath, "warning: x\n\u001b[31;1merror:\u001b[0m cannot connect to the daemon\n");
        return { options: { "store-path": storePath } };
      },
      code: 2,
      says: /nix cannot walk its closure, cannot connect to the daemon/,
    },
    ...[
      { name: "Nix prints no JSON", pathInfo: "hello", says: /nix path-info as it is not JSON/ },
      { name: "Nix prints nothing", pathInfo: "{}", says: /nix path-info lists no path/ },
      { name: "Nix prints another form", pathInfo: '"x"', says: /wanted a list or an object/ },
      { name: "Nix lists other paths", pathInfo: null, says: /nix path-info does not list it/ },
    ].map(({ name, pathInfo, says }): Row => ({
      name,
      given: async ({ nix }) => {
        const paths = await makeSystem(7);
        const [first] = paths;
        const other = pathInfo ?? JSON.stringify({ [`/nix/store/${HASH}-a`]: { ...first, references: [] } });
        return { options: { "store-path": await nix.add(paths, { pathInfo: other }) } };
      },
      code: 2,
      says,
    })),
    {
      name: "a path of the closure is gone",
      given: async ({ nix }) => {
        const paths = await makeSystem(7);
        const gone = JSON.stringify({ [paths[1]?.storePath ?? ""]: null });
        return { options: { "store-path": await nix.add(paths, { pathInfo: gone }) } };
      },
      code: 2,
      says: /glibc-2\.40-66 is not in the Nix store/,
    },
    ...[
      { name: "nothing to switch to", ls: null },
      { name: "an empty script", ls: '{"type":"regular","size":0,"executable":true}' },
      { name: "a script that cannot run", ls: '{"type":"regular","size":10}' },
      { name: "a folder", ls: '{"type":"directory","entries":{}}' },
      { name: "rubbish", ls: "rubbish" },
    ].map(({ name, ls }): Row => ({
      name: `no switch-to-configuration: ${name}`,
      given: async ({ nix }) => ({ options: { "store-path": await nix.add(await makeSystem(7), { ls }) } }),
      code: 2,
      says: /it has no executable bin\/switch-to-configuration, so it is no NixOS system/,
    })),
    {
      name: "no word on the system it is for",
      given: async ({ nix }) => ({ options: { "store-path": await nix.add(await makeSystem(7), { system: null }) } }),
      code: 2,
      says: /Cannot tell for which system .* is built \(give --system/,
    },
    {
      name: "another system than it is for",
      given: () => ({ options: { system: "aarch64-linux" } }),
      code: 2,
      says: /for aarch64-linux as it is built for x86_64-linux/,
    },
    {
      name: "one variant twice",
      given: ({ storePath }) => ({ options: { variant: `default=${storePath}` } }),
      code: 2,
      says: /two systems for x86_64-linux, variant default/,
    },
    {
      name: "a variant without a path",
      given: () => ({ options: { variant: "pi4=" } }),
      code: 2,
      says: /--variant must be NAME=PATH such as pi4=\.\/result-pi4, found "pi4="/,
    },
    {
      name: "a variant that is no name",
      given: () => ({ options: { variant: "Pi 4=./x" } }),
      code: 2,
      says: /--variant must be 1 to 63 characters/,
    },
  ]));
