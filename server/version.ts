/** The version of nix-ota-server. */
export const VERSION = "0.1.0";
