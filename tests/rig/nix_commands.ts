/** What Nix' other commands say when they fail: the ones that an agent uses around a download. */

import { SYSTEM_PROFILE } from "./device.ts";
import { type NixCase, NOT_OFFERED } from "./nix_case.ts";

/** Rows for a device that has one generation and not the target. */
export const COMMAND_CASES: readonly NixCase[] = [
  {
    name: "profile-set-missing-path",
    what: "nix-env --set of a path that is not there",
    code: 1,
    says: NOT_OFFERED,
    run: ({ device, target }) => device.exec(["nix-env", "--profile", SYSTEM_PROFILE, "--set", target.storePath]),
  },
  {
    name: "profile-rollback-without-older",
    what: "nix-env --rollback at the first generation",
    code: 1,
    says: /^error: no profile version older than the current \(\d+\) exists$/m,
    run: ({ device }) => device.exec(["nix-env", "--profile", SYSTEM_PROFILE, "--rollback"]),
  },
  {
    name: "profile-switch-to-missing-generation",
    what: "nix-env --switch-generation 99",
    code: 1,
    says: /^error: profile version 99 does not exist$/m,
    run: ({ device }) => device.exec(["nix-env", "--profile", SYSTEM_PROFILE, "--switch-generation", "99"]),
  },
  {
    name: "verify-path-missing",
    what: "nix-store --verify-path of a path that is not there",
    code: 1,
    says: /^error: path '\S+' is not valid$/m,
    run: ({ device, target }) => device.exec(["nix-store", "--verify-path", target.storePath]),
  },
  {
    name: "experimental-feature-disabled",
    what: "nix path-info on a NixOS as it comes",
    code: 1,
    says: /^error: experimental Nix feature 'nix-command' is disabled/m,
    run: ({ device, target }) => device.exec(["nix", "path-info", "--json", "-r", target.storePath]),
  },
  {
    name: "path-info-missing",
    what: "nix path-info of a path that is not there",
    code: 1,
    says: /^error: path '\S+' is not valid$/m,
    run: ({ device, target }) =>
      device.exec([
        ..."nix --extra-experimental-features nix-command path-info --json -r".split(" "),
        target.storePath,
      ]),
  },
];
