/**
 * A pretended fleet behind the port that pages read from. It moves when told to, by a seeded source of luck, so that a
 * picture of it is the same each time.
 * @module
 */
import type {
  ChannelRow,
  DevicePage,
  DeviceRow,
  Fleet,
  FleetEvent,
  ReleasePage,
  ReleaseProgress,
  ReleaseRow,
  StandingCounts,
} from "@nix-ota/common";
import type { DeviceQuery, FleetReader, ReleaseQuery } from "../../fleet_reader.ts";
import { fakeDevice, fingerprint, idleState, MISHAP_LUCK, nextStep, storePath } from "./fake_device.ts";

/** Devices that a pretended server lets update at once. */
const SLOTS = 5;

/** A release of one system. */
export function fakeRelease(channel: string, revision: number, changes: Partial<ReleaseRow> = {}): ReleaseRow {
  return {
    channel,
    revision,
    digest: `sha256:${revision.toString(16).padStart(64, "0")}`,
    publishedMs: 1_763_800_000_000,
    issued: "2025-11-22T08:26:40Z",
    expires: "2026-02-20T08:26:40Z",
    notes: "",
    mode: "auto",
    signers: [fingerprint(4)],
    targets: [{
      system: "x86_64-linux",
      variant: "default",
      storePath: storePath(revision, "nixos-system-device-25.05"),
      paths: 812,
      narSize: 1_503_238_553,
    }],
    ...changes,
  };
}

/** See the module. */
export class FakeFleet implements FleetReader {
  readonly #devices = new Map<string, DeviceRow>();
  readonly #releases: ReleaseRow[] = [];
  readonly #listeners = new Set<(event: FleetEvent) => void>();
  readonly #now: () => number;
  #luck = 1;
  /** Whether updates from now on may fail. */
  mishaps = true;

  constructor({ now }: { now: () => number }) {
    this.#now = now;
  }

  /** How many listen to the events. */
  get listeners(): number {
    return this.#listeners.size;
  }

  /** Adds a device or changes it, and tells. */
  put(device: DeviceRow): void {
    this.#devices.set(device.deviceId, device);
    this.#tell({ kind: "device", device });
    this.#tell({ kind: "fleet", fleet: this.fleet() });
  }

  /**
   * Publishes a release: every device of the channel has to go there, unless it happened long ago. Devices are not
   * told of one by one, as the server does not either.
   */
  publish(release: ReleaseRow, { quietly = false }: { quietly?: boolean } = {}): void {
    this.#releases.unshift(release);
    if (quietly) return;
    this.#tell({ kind: "release", release });
    for (const device of this.#devices.values()) {
      if (device.channel === release.channel && device.standing !== "no_target" && device.status === "accepted") {
        this.#devices.set(device.deviceId, { ...device, standing: "waiting" });
      }
    }
    this.#tell({ kind: "fleet", fleet: this.fleet() });
  }

  /** Lets every device that may do the next thing on its way. */
  step(): void {
    let slots = SLOTS;
    for (const device of this.#devices.values()) {
      const head = this.#head(device.channel);
      const moves = device.standing === "updating" || (device.standing === "waiting" && head !== null);
      if (!moves || head === null || slots === 0) continue;
      slots -= 1;
      const moved = nextStep(device, head, { nowMs: this.#now(), luck: this.#nextLuck() });
      this.#devices.set(device.deviceId, moved);
      this.#tell({ kind: "device", device: moved });
    }
    this.#tell({ kind: "fleet", fleet: this.fleet() });
  }

  fleet(): Fleet {
    const names = [...new Set([...this.#devices.values(), ...this.#releases].map(({ channel }) => channel))].sort();
    const channels = names.map((channel): ChannelRow => ({
      channel,
      head: this.#head(channel),
      devices: this.#count((device) => device.channel === channel),
    }));
    return { fleet: "default", serverMs: this.#now(), channels, devices: this.#count(() => true) };
  }

  devices({ channel, standing, after, limit }: DeviceQuery): DevicePage {
    const all = [...this.#devices.values()].filter((device) =>
      (channel === null || device.channel === channel) && (standing === null || device.standing === standing) &&
      (after === null || device.deviceId > after)
    ).sort((a, b) => a.deviceId < b.deviceId ? -1 : 1);
    const devices = all.slice(0, limit);
    return { devices, next: all.length > limit ? devices.at(-1)?.deviceId ?? null : null };
  }

  device(deviceId: string): DeviceRow | null {
    return this.#devices.get(deviceId) ?? null;
  }

  releases({ channel, before, limit }: ReleaseQuery): ReleasePage {
    const releases = this.#releases.filter((release) =>
      (channel === null || release.channel === channel) && (before === null || release.revision < before)
    );
    return { releases: releases.slice(0, limit), next: null };
  }

  progress(channel: string, revision: number): ReleaseProgress | null {
    const release = this.#releases.find((one) => one.channel === channel && one.revision === revision);
    if (!release) return null;
    return {
      channel,
      revision,
      digest: release.digest,
      isHead: this.#head(channel) === release,
      counts: this.#count((device) => device.channel === channel),
      notable: [],
    };
  }

  subscribe(listener: (event: FleetEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #head(channel: string): ReleaseRow | null {
    return this.#releases.find((release) => release.channel === channel) ?? null;
  }

  #count(isMeant: (device: DeviceRow) => boolean): StandingCounts {
    const counts = { current: 0, waiting: 0, updating: 0, failed: 0, no_target: 0, pending: 0, rejected: 0 };
    for (const device of this.#devices.values()) if (isMeant(device)) counts[device.standing] += 1;
    return counts;
  }

  #tell(event: FleetEvent): void {
    for (const listener of this.#listeners) listener(event);
  }

  /** The next of a fixed row of values in [0, 1) (mulberry32). */
  #nextLuck(): number {
    this.#luck = (this.#luck + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#luck ^ (this.#luck >>> 15), 1 | this.#luck);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    const luck = ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
    return this.mishaps ? luck : Math.max(MISHAP_LUCK, luck);
  }
}

/** A fleet in the middle of an update, with one of everything that can be seen. */
export function busyFleet(now: () => number): FakeFleet {
  const fleet = new FakeFleet({ now });
  const nowMs = now();
  const HOUR_MS = 3_600_000;
  const enrolledMs = nowMs - 900 * HOUR_MS;
  const settled = (channel: string, revision: number, hoursAgo: number): Partial<DeviceRow> => ({
    channel,
    enrolledMs,
    seenMs: nowMs - 9_000,
    standing: "current",
    runningRevision: revision,
    state: { ...idleState(nowMs - hoursAgo * HOUR_MS), result: "succeeded" },
  });
  for (let at = 1; at <= 14; at++) {
    fleet.put(fakeDevice(`kiosk-${String(at).padStart(3, "0")}`, settled("prod", 41, 26)));
  }
  fleet.put(fakeDevice("lab-fridge", settled("beta", 58, 2)));
  fleet.put(fakeDevice("lab-press", { ...settled("beta", 58, 2), cloneSuspected: true }));
  fleet.put(fakeDevice("lab-scale", {
    ...settled("beta", 58, 2),
    state: { ...idleState(nowMs - 2 * HOUR_MS), result: "pending_reboot", needsReboot: true },
  }));
  fleet.put(fakeDevice("oven-arm", {
    ...settled("prod", 41, 26),
    system: "aarch64-linux",
    standing: "no_target",
    state: { ...idleState(nowMs - HOUR_MS), result: "refused", reason: "no_target" },
  }));
  fleet.put(fakeDevice("kiosk-015", {
    status: "pending",
    standing: "pending",
    channel: "prod",
    seenMs: null,
    state: null,
    enrolledMs: nowMs - 41_000,
    hostname: "kiosk-015.shop.example",
  }));
  for (const release of pastReleases(nowMs)) fleet.publish(release, { quietly: true });
  fleet.publish(fakeRelease("prod", 42, {
    publishedMs: nowMs - 95_000,
    notes: "Fixes the clock that went back an hour, kernel 6.12.41",
  }));
  for (let at = 0; at < 49; at++) fleet.step();
  return fleet;
}

function pastReleases(nowMs: number): readonly ReleaseRow[] {
  const HOUR_MS = 3_600_000;
  return [
    fakeRelease("prod", 40, { publishedMs: nowMs - 190 * HOUR_MS, notes: "Receipt printer retries" }),
    fakeRelease("prod", 41, { publishedMs: nowMs - 27 * HOUR_MS, notes: "Kernel 6.12.40" }),
    fakeRelease("beta", 58, {
      publishedMs: nowMs - 3 * HOUR_MS,
      notes: "Try the new printer driver",
      signers: [fingerprint(4), fingerprint(9)],
    }),
  ];
}
