import type { DeviceRow } from "@nix-ota/common";
import type { JSX } from "preact";
import { Command } from "./Command.tsx";
import { acceptCommand } from "./command.ts";
import { plain } from "./words.ts";

/** What to do about a device that asks to join. */
export function PendingDevice({ device, origin }: { device: DeviceRow; origin: string }): JSX.Element {
  return (
    <>
      <p class="key">
        <code>{plain(device.fingerprint)}</code>
      </p>
      <Command text={acceptCommand(device, origin)} label={`accept ${device.deviceId}`} />
    </>
  );
}
