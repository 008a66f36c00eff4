/**
 * All migrations, in order: the number of one is its place in the list, counted from 1.
 * @module
 */
import { START } from "./0001_start.ts";

/** SQL scripts; the schema version of a database is the number of them it has run. */
export const MIGRATIONS: readonly string[] = [START];
