/**
 * Props of islands travel from the server to the browser as JSON: what JSON would lose or change is refused.
 * @module
 */
import { isValidElement } from "preact";

/** Props of one island. */
export type Props = Readonly<Record<string, unknown>>;

/**
 * Refuses props that would not arrive as they are.
 * @throws {TypeError} Naming the island and the place, such as `devices[3].seen`.
 */
export function checkProps(island: string, props: Props): void {
  for (const [key, value] of Object.entries(props)) {
    if (value !== undefined) checkJson(value, { island, at: key });
  }
}

function checkJson(value: unknown, where: { island: string; at: string }): void {
  if (value === null || typeof value === "string" || typeof value === "boolean") return;
  if (typeof value === "number" && Number.isFinite(value)) return;
  if (Array.isArray(value)) {
    value.forEach((item, index) => checkJson(item, { ...where, at: `${where.at}[${index}]` }));
    return;
  }
  if (isPlainObject(value)) {
    for (const [key, item] of Object.entries(value)) checkJson(item, { ...where, at: `${where.at}.${key}` });
    return;
  }
  throw new TypeError(
    `Cannot send the prop "${where.at}" to the island ${where.island}: wanted plain JSON, found ${kindOf(value)}`,
  );
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !isValidElement(value) &&
    Object.getPrototypeOf(value) === Object.prototype;
}

function kindOf(value: unknown): string {
  if (isValidElement(value)) return "an element";
  if (typeof value === "object" && value !== null) return `a ${value.constructor?.name ?? "null-prototype object"}`;
  return typeof value === "number" ? String(value) : typeof value;
}

/**
 * JSON that may stand in a data block of HTML: without `<` nothing in it can end the block or begin a comment
 * (HTML standard, section 4.12.1.3).
 */
export function jsonForHtml(value: unknown): string {
  return JSON.stringify(value).replaceAll("<", "\\u003c");
}
