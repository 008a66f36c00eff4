/**
 * File names in routes/ as URL patterns, by Fresh's conventions.
 * @module
 */

/** Whether a file is a page; `_app`, `_layout`, `_404` and `_error` are not. */
export function isPage(id: string): boolean {
  return !lastOf(id).startsWith("_");
}

/**
 * The pattern of a page: `devices/[id]` gives `/devices/:id`, `files/[...path]` gives `/files/:path{.+}`, and folders in
 * parentheses group files without being part of the URL.
 * @throws {TypeError} Where a part is neither plain text, `[name]` nor `[...name]`.
 */
export function toPattern(id: string): string {
  const parts = id.split("/").filter((part) => !/^\([a-z0-9-]+\)$/.test(part));
  if (parts.at(-1) === "index") parts.pop();
  return `/${parts.map((part) => patternOf(part, id)).join("/")}`;
}

function patternOf(part: string, id: string): string {
  if (/^[a-z0-9_-]+$/.test(part)) return part;
  const [, rest, name] = /^\[(\.{3})?([a-z][a-z0-9_]*)\]$/.exec(part) ?? [];
  if (name === undefined) {
    throw new TypeError(
      `Cannot use routes/${id} as a page: the part "${part}" must be lower case, [name] or [...name] (rename the file)`,
    );
  }
  return rest === undefined ? `:${name}` : `:${name}{.+}`;
}

/** Orders pages so that a plain part is tried before `[name]`, and that before `[...name]`. */
export function comparePages(a: string, b: string): number {
  const [left, right] = [rankOf(a), rankOf(b)];
  return left < right ? -1 : left > right ? 1 : 0;
}

function rankOf(id: string): string {
  return toPattern(id).replaceAll(/:\w+\{\.\+\}/g, "\uffff").replaceAll(/:\w+/g, "\ufffe");
}

/** The layouts round a page, innermost first: `devices/[id]` is in `devices/_layout`, then in `_layout`. */
export function layoutsOf(id: string, exists: (id: string) => boolean): readonly string[] {
  const folders = id.split("/").slice(0, -1);
  const layouts = ["_layout", ...folders.map((_, at) => `${folders.slice(0, at + 1).join("/")}/_layout`)];
  return layouts.reverse().filter(exists);
}

function lastOf(id: string): string {
  return id.slice(id.lastIndexOf("/") + 1);
}
