import { DeviceRow, operatorPaths } from "@nix-ota/common";
import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import { DeviceSheet } from "./fleet/DeviceSheet.tsx";
import { LiveMark } from "./fleet/LiveMark.tsx";
import { follow, readApi } from "./lib/follow.ts";
import { useClock } from "./lib/use_clock.ts";

/** One device, moving while it updates. */
export default function DeviceLive(props: { device: DeviceRow; origin: string; madeMs: number }): JSX.Element {
  const device = useSignal(props.device);
  const nowMs = Math.max(useClock(props.madeMs), device.value.seenMs ?? 0);
  const { deviceId } = props.device;
  useEffect(() =>
    follow({
      read: () => readApi(operatorPaths.device(deviceId), DeviceRow),
      needsReading: (event) => event.kind === "release" && event.release.channel === props.device.channel,
      onReading: (reading) => device.value = reading,
      onEvents: (events) => {
        for (const event of events) {
          if (event.kind === "device" && event.device.deviceId === deviceId) device.value = event.device;
        }
      },
    }), []);
  return (
    <>
      <header class="title">
        <div>
          <h1>{deviceId}</h1>
          <p class="quiet">{props.device.channel} · {props.device.system} · {props.device.variant}</p>
        </div>
        <LiveMark madeMs={props.madeMs} />
      </header>
      <DeviceSheet device={device.value} origin={props.origin} nowMs={nowMs} />
    </>
  );
}
