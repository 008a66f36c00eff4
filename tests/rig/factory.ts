/** What a factory does to a device: the first system is put on its disk and booted. */

import type { CacheKey } from "./ci_machine.ts";
import type { BuiltSystem } from "./closures.ts";
import { SYSTEM_PROFILE } from "./device.ts";
import type { NamespaceDevice } from "./namespace_device.ts";

/** Where the first system comes from. */
export type FactorySource = {
  system: BuiltSystem;
  /** A cache that holds it, as the device reaches it: any URL that Nix knows. */
  cacheUrl: string;
  cacheKey: CacheKey;
};

/** Installs a system and boots it, so that it is what runs, what was booted and what the profile says. */
export async function installFactorySystem(device: NamespaceDevice, source: FactorySource): Promise<void> {
  const { system, cacheUrl, cacheKey } = source;
  const options = ["--option", "substituters", cacheUrl, "--option", "trusted-public-keys", cacheKey.publicKey.trim()];
  await device.output(["nix-store", "--realise", system.storePath, ...options]);
  await device.output(["nix-env", "--profile", SYSTEM_PROFILE, "--set", system.storePath]);
  await device.output([`${system.storePath}/bin/switch-to-configuration`, "boot"]);
  await device.reboot();
}
