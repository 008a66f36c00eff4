/** The fleet as pages and the operator API see it, over the store. */
import { PAGE_MAX } from "@nix-ota/common";
import { type Changes, createChanges } from "./changes.ts";
import type { FleetReader } from "./fleet_reader.ts";
import type { Store } from "./store/store.ts";

/** Makes the read model, and joins it to what the store tells of its commits. */
export function createReadModel(
  { store, fleet, now, gatherMs }: { store: Store; fleet: string; now: () => number; gatherMs?: number },
): { reader: FleetReader; changes: Changes } {
  const { fleetQueries } = store;
  const readFleet = (): ReturnType<FleetReader["fleet"]> => fleetQueries.fleet({ fleet, nowMs: now() });
  const changes = createChanges({
    fleet: readFleet,
    device: fleetQueries.device,
    release: fleetQueries.release,
  }, gatherMs);
  store.onChange(changes.mark);
  return {
    changes,
    reader: {
      fleet: readFleet,
      devices: fleetQueries.devices,
      device: fleetQueries.device,
      releases: fleetQueries.releases,
      progress: (channel, revision) => fleetQueries.progress(channel, revision, PAGE_MAX),
      subscribe: changes.subscribe,
    },
  };
}
