import DeviceLive from "@/islands/DeviceLive.tsx";
import type { PageProps, PageRequest } from "@/server/web/mod.ts";
import { type DeviceRow, OtaError } from "@nix-ota/common";
import type { JSX } from "preact";

/** What the page shows at first. */
interface Data {
  readonly device: DeviceRow;
  /** The server's time, in milliseconds since 1970. */
  readonly madeMs: number;
}

/** The document's title. */
export function title({ data }: PageProps<typeof handler>): string {
  return data.device.deviceId;
}

/** The device. @throws {OtaError} `not_found` where there is none of that name. */
export function handler({ reader, params }: PageRequest): Data {
  const id = params["id"] ?? "";
  const device = reader.device(id);
  if (!device) throw new OtaError("not_found", `There is no device ${JSON.stringify(id)}`);
  return { device, madeMs: reader.fleet().serverMs };
}

/** One device. */
export default function Device({ data, origin }: PageProps<typeof handler>): JSX.Element {
  return (
    <>
      <p class="crumb">
        <a href="/">Fleet</a>
      </p>
      <DeviceLive device={data.device} origin={origin} madeMs={data.madeMs} />
    </>
  );
}
