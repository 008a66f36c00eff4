/**
 * What two programs of nix-ota must agree on: documents, their parsers and limits, signatures, trust.
 * Imports nothing of ours and nothing of others, does no input or output.
 * @module
 */
export {};
