/** How Nix is set up in a rig's machines: wrappers in a directory for PATH, because a cleared environment keeps only that. */

/** Programs that get a wrapper. */
const PROGRAMS = ["nix", "nix-build", "nix-collect-garbage", "nix-env", "nix-hash", "nix-instantiate", "nix-store"];

/** What every machine of the rig needs to run Nix as its only user, without build users and without the public cache. */
const COMMON_SETTINGS = `build-users-group =
substituters =
build-hook =
sandbox = false
sandbox-paths =
connect-timeout = 5
`;

/** What is built here is built again if it is lost, so nothing waits for the disk. */
const CI_SETTINGS = `experimental-features = nix-command
fsync-metadata = false
max-jobs = auto
`;

/** What a machine is for decides what its Nix may do. */
export type NixRole = "device" | "ci";

/**
 * The `nix.conf` of a machine. A device has no experimental features, as NixOS has none unless told: an agent that needs
 * one must ask for it.
 */
export function nixConf(role: NixRole): string {
  return role === "ci" ? COMMON_SETTINGS + CI_SETTINGS : COMMON_SETTINGS;
}

/**
 * Writes `bin/` with a wrapper for each of Nix' programs, `etc/nix.conf` and an empty home directory below `dir`.
 *
 * @param dir Host path of the directory that the machine sees as `/rig`.
 * @param binDir Where Nix is, on the host and in the machine.
 */
export async function writeNixSetup(dir: string, binDir: string, role: NixRole): Promise<void> {
  await Promise.all(["bin", "etc", "home"].map((name) => Deno.mkdir(`${dir}/${name}`, { recursive: true })));
  await Deno.writeTextFile(`${dir}/etc/nix.conf`, nixConf(role));
  for (const program of PROGRAMS) {
    const script = `#!/bin/sh\nNIX_CONF_DIR=/rig/etc HOME=/rig/home exec ${binDir}/${program} "$@"\n`;
    await Deno.writeTextFile(`${dir}/bin/${program}`, script, { mode: 0o755 });
    await Deno.chmod(`${dir}/bin/${program}`, 0o755);
  }
}
