/**
 * Which Debian mirror this machine uses, from its own apt sources: both the one-line format (`sources.list`) and deb822
 * (`*.sources`).
 *
 * @see sources.list(5)
 */

/** One entry of apt's sources, as far as it matters here. */
export type AptSource = {
  uris: readonly string[];
  suites: readonly string[];
  components: readonly string[];
  /** Path of a key ring, or an armoured key block; undefined where apt's own trusted keys count. */
  signedBy: string | undefined;
};

/** A place to fetch Debian packages from. */
export type Mirror = Pick<AptSource, "signedBy"> & { uri: string };

/** Debian's own suites: what tells a Debian archive from a vendor's repository with the same layout. */
const DEBIAN_SUITES = ["bullseye", "bookworm", "trixie", "forky", "duke", "sid", "stable", "testing", "unstable"];

/** Reads one sources file; `name` decides the format by its ending, as apt does. */
export function parseAptSources(name: string, text: string): AptSource[] {
  return name.endsWith(".sources") ? parseDeb822(text) : parseOneLine(text);
}

/**
 * The first mirror of Debian's main archive among the machine's sources.
 *
 * Security and update suites live in the same or other archives, and never carry a whole release: they do not count.
 */
export function debianMirror(sources: readonly AptSource[]): Mirror | undefined {
  for (const source of sources) {
    const uri = source.uris.find((candidate) => !candidate.startsWith("cdrom:"));
    if (uri === undefined || !source.components.includes("main")) continue;
    if (source.suites.some((suite) => DEBIAN_SUITES.includes(suite))) return { uri, signedBy: source.signedBy };
  }
  return undefined;
}

function parseOneLine(text: string): AptSource[] {
  const sources: AptSource[] = [];
  for (const line of text.split("\n")) {
    const match = /^\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)([^#]*)/.exec(line);
    if (match === null) continue;
    const [, options = "", uri = "", suite = "", components = ""] = match;
    const signedBy = /(?:^|\s)signed-by=(\S+)/i.exec(options)?.[1];
    sources.push({ uris: [uri], suites: [suite], components: words(components), signedBy });
  }
  return sources;
}

function parseDeb822(text: string): AptSource[] {
  const sources: AptSource[] = [];
  for (const stanza of text.replaceAll(/^#.*\n?/gm, "").split(/\n[ \t]*\n/)) {
    const fields = fieldsOf(stanza);
    if (!words(fields.get("types")).includes("deb") || fields.get("enabled")?.trim() === "no") continue;
    sources.push({
      uris: words(fields.get("uris")),
      suites: words(fields.get("suites")),
      components: words(fields.get("components")),
      signedBy: fields.get("signed-by")?.trim(),
    });
  }
  return sources;
}

/** Field names in lower case; a value keeps its continuation lines, which a key block needs. */
function fieldsOf(stanza: string): Map<string, string> {
  const fields = new Map<string, string>();
  let current = "";
  for (const line of stanza.split("\n")) {
    const match = /^([A-Za-z][A-Za-z0-9-]*):(.*)$/.exec(line);
    if (match !== null) current = (match[1] ?? "").toLowerCase();
    const value = match === null ? `${fields.get(current) ?? ""}\n${line}` : match[2] ?? "";
    if (current !== "") fields.set(current, value);
  }
  return fields;
}

function words(text: string | undefined): string[] {
  return (text ?? "").split(/\s+/).filter((word) => word !== "");
}
