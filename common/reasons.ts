/**
 * What a device says of itself: phases, results and the reasons for them, each a closed list (protocol 4.4).
 * @module
 */

/** What the agent is doing (protocol 4.4). */
export const PHASES = [
  "idle",
  "staging",
  "staged",
  "activating",
  "probation",
  "rebooting",
  "rolling_back",
] as const;
/** One of {@link PHASES}. */
export type Phase = typeof PHASES[number];

/** How the last attempt at a release ended (protocol 4.4). */
export const RESULTS = [
  "succeeded",
  "succeeded_with_warnings",
  "pending_reboot",
  "rolled_back",
  "failed_before_activation",
  "rollback_failed",
  "refused",
  "skipped",
] as const;
/** One of {@link RESULTS}. */
export type Result = typeof RESULTS[number];

/**
 * Why, and what to do about it: the sentence shown beside the code on the device, in the dashboard and in the
 * troubleshooting page. Refusals of clause 2.2 use the codes of `errors.ts` instead.
 */
export const REASONS = {
  // Fetching.
  cache_unreachable: "The binary cache does not answer: check the network of the device and the cache's address",
  cache_denied: "The binary cache refuses access: check the credentials for it on the device",
  cache_error: "The binary cache fails: see its own log",
  cache_stalled: "The download stalled: the device tries again later",
  path_missing: "A path of the closure is not in the binary cache: copy the whole closure there and publish again",
  signature_untrusted: "A path is not signed by a key that the release names: sign the closure with the cache's key",
  content_corrupt: "The binary cache delivered damaged content: repair the cache",
  cache_not_allowed: "The release names no cache that the device's settings permit: use https, or set allowHttp on it",
  insufficient_space: "The device has no room for the closure: free some and it tries again",
  store_read_only: "The Nix store of the device is read-only: check its disk",
  store_corrupt: "The Nix store of the device holds damaged paths that could not be repaired",
  closure_mismatch: "The fetched closure is not the one that was signed: the cache or its key may be compromised",
  interrupted: "The attempt was cut off: the device goes on by itself",
  fetch_failed: "Nix could not fetch the closure: see the log",
  stage_timeout: "The closure was not fetched in time: the device tries again later",
  // Activating.
  not_a_system: "The closure has no executable bin/switch-to-configuration: publish a NixOS system",
  profile_failed: "The system profile could not be set: check the device's disk",
  switch_failed: "The activation failed: see the log",
  switch_timeout: "The activation did not end in time",
  switch_busy: "Another activation is running on the device: it tries again later",
  switch_no_effect: "The activation ended well but the device does not run the new system",
  health_failed: "The health check failed: the device went back",
  health_timeout: "The health check did not pass in time: the device went back",
  reboot_reverted: "The device booted the old system again",
  power_lost: "The device restarted in the middle of the activation and went back",
  bad_release: "This release failed here before: publish a newer one, or retry it on the device",
  operator_rollback: "Someone asked for the rollback on the device",
  no_previous_system: "The device knows no system to go back to",
  overridden: "Someone put another system in force on the device in the meantime",
  superseded: "A newer release took its place",
  loop_detected: "The attempt took more steps than it can need: the device went back and needs a look",
  rollback_failed: "The previous system could not be activated again: the device needs a person",
  // Waiting.
  already_running: "The device already runs this system",
  waiting_for_server: "The server did not permit the activation yet",
} as const;

/** A code of {@link REASONS}. */
export type Reason = keyof typeof REASONS;

/** A reason in a report (protocol 4.4): a code, or a code and what it is about, such as `health_failed:exit 3`. */
export const REASON_PATTERN = /^[a-z][a-z0-9_]{0,39}(?::[\x20-\x7e]{1,200})?$/;
