/**
 * What two programs of nix-ota must agree on: documents, their parsers and limits, signatures, trust.
 * Imports nothing of ours and nothing of others, does no input or output.
 * @module
 */
export * from "./backoff.ts";
export * from "./base64.ts";
export * from "./canonical.ts";
export * from "./checkin.ts";
export * from "./closure.ts";
export * from "./difference.ts";
export * from "./document.ts";
export * from "./ed25519.ts";
export * from "./envelope.ts";
export * from "./errors.ts";
export * from "./key.ts";
export * from "./log.ts";
export * from "./names.ts";
export * from "./operator.ts";
export * from "./reasons.ts";
export * from "./release.ts";
export * as schema from "./schema.ts";
export { type Infer, type Parser, SchemaError, show } from "./schema.ts";
export * from "./store_path.ts";
export * from "./substituter.ts";
export * from "./text.ts";
export * from "./time.ts";
export * from "./trust.ts";
export * from "./wire.ts";
