/**
 * Which devices the overview lists, as its address tells: a filter is a link, works without scripts and can be shared.
 * @module
 */
import { Name, OtaError, SchemaError, type Standing, STANDINGS } from "@nix-ota/common";

/** Which devices the table lists. */
export interface Filter {
  readonly channel: string | null;
  readonly standing: Standing | null;
  /** Only names after this one: a later page of the list. */
  readonly after: string | null;
}

/** Every device, from the beginning. */
export const NO_FILTER: Filter = { channel: null, standing: null, after: null };

/**
 * Reads the filter of an address.
 * @throws {OtaError} `request_invalid`, saying which part.
 */
export function parseFilter(query: URLSearchParams): Filter {
  return { channel: nameIn(query, "channel"), standing: standingIn(query), after: nameIn(query, "after") };
}

function nameIn(query: URLSearchParams, key: string): string | null {
  const value = query.get(key) || null;
  try {
    return value === null ? null : Name(value, key);
  } catch (error) {
    if (error instanceof SchemaError) throw new OtaError("request_invalid", `The address is wrong: ${error.message}`);
    throw error;
  }
}

function standingIn(query: URLSearchParams): Standing | null {
  const value = query.get("standing") || null;
  const standing = STANDINGS.find((one) => one === value) ?? null;
  if (value === null || standing !== null) return standing;
  throw new OtaError("request_invalid", `The address is wrong: standing must be one of ${STANDINGS.join(", ")}`);
}

/** The parameters of a filter, without those that are not set. */
export function queryOf(filter: Filter): URLSearchParams {
  return new URLSearchParams(Object.entries(filter).filter(([, value]) => value !== null));
}

/** The overview's address with a filter. The part after `#` leads past what does not change. */
export function hrefOf(filter: Filter): string {
  const query = queryOf(filter).toString();
  return query === "" ? "/" : `/?${query}#devices`;
}
