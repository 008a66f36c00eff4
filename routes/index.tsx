import { parseFilter } from "@/islands/fleet/filter.ts";
import { firstHappenings } from "@/islands/fleet/happenings.ts";
import { PENDING_MAX, RELEASES_MAX, ROWS_MAX, type View } from "@/islands/fleet/view.ts";
import FleetLive from "@/islands/FleetLive.tsx";
import type { PageProps, PageRequest } from "@/server/web/mod.ts";
import type { JSX } from "preact";

/** The document's title. */
export const title = "Fleet";

/** What the overview shows at first. @throws {OtaError} `request_invalid` where the address holds a wrong filter. */
export function handler({ reader, url }: PageRequest): View {
  const filter = parseFilter(url.searchParams);
  const { devices, next } = reader.devices({ ...filter, limit: ROWS_MAX });
  const pending = reader.devices({ channel: null, standing: "pending", after: null, limit: PENDING_MAX }).devices;
  const { releases } = reader.releases({ channel: null, before: null, limit: RELEASES_MAX });
  return {
    fleet: reader.fleet(),
    filter,
    devices,
    next,
    pending,
    releases,
    happenings: firstHappenings([...devices, ...pending.filter((one) => !devices.includes(one))], releases),
  };
}

/** The fleet overview. */
export default function Overview({ data, origin }: PageProps<typeof handler>): JSX.Element {
  return <FleetLive view={data} origin={origin} />;
}
