/**
 * `publish --wait`: asks the server how the devices are doing until it is over.
 * @module
 */
import type { ReleaseProgress } from "@nix-ota/common";
import type { Api } from "./api.ts";
import type { Context } from "./context.ts";
import { describeDevice } from "./device_view.ts";
import { CliError, EXIT } from "./errors.ts";
import { readProgress, readReleases } from "./operator_api.ts";
import { sleep } from "./retry.ts";
import { describeNews, judgeRollout, type RolloutEnd, type Sorted, type WaitRule } from "./rollout.ts";

/** Shortest and longest time between two looks, in milliseconds: lively at first, light on the server later. */
const POLL_MIN_MS = 500;
const POLL_MAX_MS = 5000;

/** The time to the next look: a hundredth of the time that has passed, within limits. Milliseconds. */
export function pollMs(elapsedSeconds: number): number {
  return Math.min(POLL_MAX_MS, Math.max(POLL_MIN_MS, elapsedSeconds * 10));
}

/** Most devices that are named in the last lines; the rest is counted. */
const NAMED_MAX = 10;

/** What following came to. */
export interface Rollout {
  readonly end: RolloutEnd;
  readonly seconds: number;
  /** The last that was seen; null where the server never answered. */
  readonly progress: ReleaseProgress | null;
  readonly sorted: Sorted | null;
}

/** Which release to follow, for how long. */
export interface FollowOptions {
  readonly channel: string;
  readonly revision: number;
  readonly timeoutSeconds: number;
  readonly rule: WaitRule;
}

/**
 * Follows a release that was just published. A server that is away for a while is waited for; whatever goes wrong here
 * does not change that the release is out, so it is an end and not an exception.
 */
export async function followRollout(api: Api, context: Context, options: FollowOptions): Promise<Rollout> {
  const { ui, now, signal } = context;
  const startMs = now();
  const line = ui.progress();
  let last: Look = { progress: null, sorted: null, publishedMs: null };
  let isAway = false;
  const ended = (end: RolloutEnd): Rollout => {
    line.end();
    return { end, seconds: Math.round((now() - startMs) / 1000), progress: last.progress, sorted: last.sorted };
  };
  for (;;) {
    const elapsedSeconds = (now() - startMs) / 1000;
    const timedOut = elapsedSeconds >= options.timeoutSeconds;
    try {
      const publishedMs = last.publishedMs ?? await readPublishedMs(api, options);
      const progress = await readProgress(api, options);
      const { end, sorted } = judgeRollout(progress, { publishedMs, elapsedSeconds, timedOut, rule: options.rule });
      const news = describeNews(last.progress, progress);
      if (news.length > 0) line.end();
      for (const text of news) ui.step("info", "device", text);
      last = { progress, sorted, publishedMs };
      isAway = false;
      if (end !== null) return ended(end);
      line.update(toProgress(progress, sorted));
    } catch (error) {
      if (signal.aborted) return ended("interrupted");
      if (!(error instanceof CliError)) throw error;
      const isPassing = error.exit === EXIT.serverUnreachable;
      if (!isPassing || !isAway) line.end();
      if (!isPassing) ui.step("fail", "rollout", error.message);
      if (!isPassing || timedOut) return ended(isPassing ? "unreachable" : "refused");
      if (!isAway) ui.step("warn", "rollout", `${error.message}; still trying`);
      isAway = true;
    }
    await sleep(pollMs(elapsedSeconds), signal);
    if (signal.aborted) return ended("interrupted");
  }
}

/** What was seen last. */
interface Look extends Pick<Rollout, "progress" | "sorted"> {
  readonly publishedMs: number | null;
}

/** When the server took the release, by its own clock: the clock that `seenMs` of devices is of. */
async function readPublishedMs(api: Api, { channel, revision }: FollowOptions): Promise<number> {
  const [row] = await readReleases(api, { channel, before: revision + 1, limit: 1 });
  if (row?.revision === revision) return row.publishedMs;
  throw new CliError(EXIT.serverUnreachable, `Cannot follow revision ${revision} as the server does not list it`, {
    code: "server_answer_invalid",
  });
}

function toProgress({ counts, notable }: ReleaseProgress, { current, open }: Sorted): {
  label: string;
  done: number;
  total: number;
  detail: string;
} {
  const busy = notable.find(({ standing }) => standing === "updating") ??
    notable.find(({ standing }) => standing === "waiting");
  return {
    label: "rollout",
    done: current,
    total: Math.max(1, current + open + counts.failed),
    detail: busy === undefined ? "" : `${busy.deviceId} ${describeDevice(busy)}`,
  };
}

/** Says how it ended. */
export function showRollout(
  { ui }: Context,
  { end, seconds, progress, sorted }: Rollout,
  { revision }: FollowOptions,
): void {
  const current = progress?.counts.current ?? 0;
  const after = `after ${seconds} s`;
  const sentences: Readonly<Record<RolloutEnd, string>> = {
    succeeded: current > 0
      ? `${devices(current)} ${current === 1 ? "runs" : "run"} revision ${revision} ${after}`
      : `every device that answers has revision ${revision} ${after}`,
    silent: `no device has answered ${after}`,
    no_devices: "no device is on the channel: the first one to come takes it",
    failed: `${devices(sorted?.failed.length ?? 0)} failed ${after}`,
    timed_out: `out of time ${after}: ${current} run it, ${sorted?.open ?? 0} still have to`,
    superseded: "a newer release took over: devices take that one instead",
    unreachable: `the server has not answered ${after}: devices go on by themselves`,
    refused: "the release is published, but how devices do cannot be told",
    interrupted: "no longer followed; the release is published and devices go on with it",
  };
  const mark = end === "succeeded" || end === "no_devices" ? "ok" : end === "failed" ? "fail" : "warn";
  ui.step(mark, "rollout", sentences[end]);
  if (sorted === null) return;
  for (const device of sorted.failed.slice(0, NAMED_MAX)) {
    ui.detail(`${device.deviceId}: ${describeDevice(device)}`);
    if (device.state?.detail) ui.detail(`  ${device.state.detail}`);
  }
  if (sorted.failed.length > NAMED_MAX) ui.detail(`and ${sorted.failed.length - NAMED_MAX} more`);
  name(ui, sorted.rebooting, "it starts with the next reboot on");
  name(ui, sorted.offline, "silent since the publish, take it when they are back:");
}

function devices(count: number): string {
  return count === 1 ? "1 device" : `${count} devices`;
}

function name(ui: Context["ui"], list: Sorted["offline"], what: string): void {
  if (list.length === 0) return;
  const names = list.slice(0, NAMED_MAX).map(({ deviceId }) => deviceId);
  const more = list.length > NAMED_MAX ? ` and ${list.length - NAMED_MAX} more` : "";
  ui.step("warn", "rollout", `${what} ${names.join(", ")}${more}`);
}

/** The same for programs. */
export function rolloutData({ end, seconds, progress, sorted }: Rollout): unknown {
  const ids = (list: readonly { deviceId: string }[] = []): readonly string[] => list.map(({ deviceId }) => deviceId);
  return {
    end,
    seconds,
    counts: progress?.counts ?? null,
    failed: (sorted?.failed ?? []).map(({ deviceId, state }) => ({
      deviceId,
      result: state?.result ?? null,
      reason: state?.reason ?? null,
      detail: state?.detail ?? null,
    })),
    rebooting: ids(sorted?.rebooting),
    offline: ids(sorted?.offline),
  };
}
