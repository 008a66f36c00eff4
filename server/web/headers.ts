/**
 * The headers of every page. Nothing inline, nothing from elsewhere, no markup made of text by scripts.
 * @module
 */

/** Content-Security-Policy of pages: no nonce and no `unsafe-*`, for there is no inline script or style at all. */
export const CONTENT_SECURITY_POLICY: string = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "font-src 'self'",
  "connect-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join("; ");

const UNUSED_FEATURES = ["camera", "geolocation", "microphone", "payment", "usb"];

/** Headers of pages. They show live, private facts, so no cache may keep them. */
export const PAGE_HEADERS: Readonly<Record<string, string>> = {
  "content-type": "text/html; charset=utf-8",
  "cache-control": "no-store",
  "content-security-policy": CONTENT_SECURITY_POLICY,
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "permissions-policy": UNUSED_FEATURES.map((feature) => `${feature}=()`).join(", "),
  "referrer-policy": "no-referrer",
  "vary": "accept-encoding",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
};

/** One year in seconds: an asset's name changes with its content, so it may be kept as long as caches keep anything. */
const ASSET_AGE_SECONDS = 31_536_000;

/** Headers of assets, besides their content type and encoding. */
export const ASSET_HEADERS: Readonly<Record<string, string>> = {
  "cache-control": `public, max-age=${ASSET_AGE_SECONDS}, immutable`,
  "cross-origin-resource-policy": "same-origin",
  "vary": "accept-encoding",
  "x-content-type-options": "nosniff",
};
