/** Values that link a check-in to the answer before it (protocol 4.3). */

/** 128 random bits in base64url without padding. */
export function makeNonce(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** Seconds until the next check-in: the interval, spread by a tenth so that a fleet does not come at once. */
export function spreadSeconds(seconds: number, random: () => number): number {
  return Math.max(1, Math.round(seconds * (0.9 + 0.2 * random())));
}
