import { Badge } from "@/islands/fleet/Badge.tsx";
import type { PageProps, PageRequest } from "@/server/web/mod.ts";
import { type DeviceRow, OtaError } from "@nix-ota/common";
import type { JSX } from "preact";

/** The document's title. */
export function title({ data }: PageProps<typeof handler>): string {
  return data.deviceId;
}

/** The device. @throws {OtaError} `not_found` where there is none of that name. */
export function handler({ reader, params }: PageRequest): DeviceRow {
  const device = reader.device(params["id"] ?? "");
  if (!device) throw new OtaError("not_found", `There is no device ${JSON.stringify(params["id"])}`);
  return device;
}

/** One device. */
export default function Device({ data }: PageProps<typeof handler>): JSX.Element {
  return (
    <section class="card">
      <h1>{data.deviceId}</h1>
      <Badge standing={data.standing} />
    </section>
  );
}
