/** Reads what Nix writes with `--log-format internal-json`. */

/** One event; the fields depend on `action`. */
export type NixEvent = {
  action: "start" | "stop" | "result" | "msg";
  id?: number;
  type?: number;
  level?: number;
  msg?: string;
  text?: string;
  fields?: (string | number)[];
};

/** Kinds of activity and of result that matter to a download. @see Nix' source, logging.hh */
export const ACTIVITY = { copyPath: 100, fileTransfer: 101, realise: 102, copyPaths: 103, substitute: 108 } as const;
export const RESULT = { progress: 105, setExpected: 106 } as const;

const PREFIX = "@nix ";

/** The events of a log; lines of other programs are left out. */
export function nixEvents(log: string): NixEvent[] {
  return log.split("\n").filter((line) => line.startsWith(PREFIX)).map((line) => JSON.parse(line.slice(PREFIX.length)));
}

/** How many paths a download has completed and how many it knows of; [0, 0] before the first. */
export function pathProgress(log: string): [done: number, expected: number] {
  const events = nixEvents(log);
  const copies = events.filter(({ action, type }) => action === "start" && type === ACTIVITY.copyPaths);
  const last = events.findLast(({ type, id }) => type === RESULT.progress && copies.some((copy) => copy.id === id));
  return [Number(last?.fields?.[0] ?? 0), Number(last?.fields?.[1] ?? 0)];
}

/** What Nix said to a reader, without colours: messages of internal-json, or plain lines. */
export function nixMessages(log: string): string {
  const lines = log.split("\n").flatMap((line) => {
    if (!line.startsWith(PREFIX)) return [line];
    const event: NixEvent = JSON.parse(line.slice(PREFIX.length));
    return event.action === "msg" ? [event.msg ?? ""] : [];
  });
  // deno-lint-ignore no-control-regex -- what is taken out are terminal colours
  return lines.join("\n").replaceAll(/\x1b\[[0-9;]*m/g, "");
}

/** Of progress lines that differ only in numbers, one in so many stays. */
const THINNED_TO_ONE_IN = 100;

/** A log with the first and every hundredth of the progress lines of one activity; all else stays as it is. */
export function thinned(log: string): string {
  const counts = new Map<string, number>();
  return log.split("\n").filter((line) => {
    const progress = /^@nix \{"action":"result","fields":\[[^\]]*\],("id":\d+,"type":105)\}$/.exec(line)?.[1];
    if (progress === undefined) return true;
    const count = counts.get(progress) ?? 0;
    counts.set(progress, count + 1);
    return count % THINNED_TO_ONE_IN === 0;
  }).join("\n");
}
