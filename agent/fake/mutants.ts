/**
 * Agents with one mistake each: the crash matrix has to find every one of them, or it proves nothing.
 * @module
 */
import { openJournal } from "../journal.ts";
import type { Situation } from "../state.ts";
import type { Command, Files, System } from "../system.ts";
import type { LifeOptions } from "./device.ts";

/** A mistake, and how it is made. */
export interface Mutant {
  readonly name: string;
  readonly mutate: NonNullable<LifeOptions["mutate"]>;
}

function withFiles(changes: (files: Files) => Partial<Files>): Mutant["mutate"] {
  return ({ system }) => {
    const files = { ...system.files, ...changes(system.files) };
    // The journal writes through the files it was opened with.
    return { system: { ...system, files }, journal: openJournal(files, "/nix/var/nix-ota") };
  };
}

function withRun(run: (command: Command, system: System) => ReturnType<System["run"]>): Mutant["mutate"] {
  return ({ system, journal }) => ({ system: { ...system, run: (command) => run(command, system) }, journal });
}

const PROFILE = "/nix/var/nix/profiles/system";
const DONE = { code: 0, stdout: "", stderr: "", killed: null } as const;

/** `nix-env --rollback`: to the generation with the number before, whether it ever ran or not. */
async function oneGenerationBack({ files }: System): Promise<void> {
  const now = Number(/system-(\d+)-link/.exec(await files.readLink(PROFILE) ?? "")?.[1] ?? 0);
  await files.symlink(`system-${now - 1}-link`, `${PROFILE}.new`);
  await files.rename(`${PROFILE}.new`, PROFILE);
}

/** Every mutant. */
export const MUTANTS: readonly Mutant[] = [
  {
    name: "writes the journal one step late",
    mutate: ({ system, journal }) => {
      let late: Situation | null = null;
      return {
        system,
        journal: {
          async write(situation) {
            if (late !== null) await journal.write(late);
            late = situation;
          },
        },
      };
    },
  },
  {
    name: "does not sync directories",
    mutate: withFiles((files) => ({
      sync: async (path) => {
        if ((await files.stat(path))?.kind !== "directory") await files.sync(path);
      },
    })),
  },
  {
    name: "does not sync files",
    mutate: withFiles((files) => ({
      sync: async (path) => {
        if ((await files.stat(path))?.kind === "directory") await files.sync(path);
      },
    })),
  },
  {
    name: "does not sync the store",
    mutate: withRun((command, system) => command.argv[0] === "/bin/sync" ? Promise.resolve(DONE) : system.run(command)),
  },
  {
    name: "does not read the closure before it activates it",
    mutate: withRun((command, system) => command.argv.includes("verify") ? Promise.resolve(DONE) : system.run(command)),
  },
  {
    name: "believes an exit code instead of looking",
    mutate: ({ system, journal }) => {
      let started: string | null = null;
      const files: Files = {
        ...system.files,
        readLink: async (path) =>
          path === "/run/current-system" && started !== null ? started : await system.files.readLink(path),
      };
      const startDetached: System["startDetached"] = (argv, env) => {
        started = argv[4]?.replace("/bin/switch-to-configuration", "") ?? null;
        return system.startDetached(argv, env);
      };
      return { system: { ...system, files, startDetached }, journal };
    },
  },
  {
    name: "goes one generation back instead of to what ran before",
    mutate: withRun(async (command, system) => {
      if (!command.argv.includes("--set") || !command.argv.some((arg) => arg.endsWith("-old"))) {
        return await system.run(command);
      }
      await oneGenerationBack(system);
      return DONE;
    }),
  },
  {
    name: "does not keep the number of its check-ins",
    mutate: withFiles((files) => ({
      read: (path, maxBytes) => path.endsWith("sequence.json") ? Promise.resolve(null) : files.read(path, maxBytes),
    })),
  },
  {
    name: "makes no GC root",
    mutate: withFiles((files) => ({
      symlink: (target, path) => path.includes("/gcroots/") ? Promise.resolve() : files.symlink(target, path),
      rename: (from, to) => from.includes("/gcroots/") ? Promise.resolve() : files.rename(from, to),
    })),
  },
  {
    name: "replaces files without a rename",
    mutate: withFiles((files) => ({
      rename: async (from, to) => {
        const content = await files.read(from, 2 ** 20);
        if (content === null) return await files.rename(from, to);
        await files.write(to, content, 0o600);
        await files.remove(from);
      },
    })),
  },
];
