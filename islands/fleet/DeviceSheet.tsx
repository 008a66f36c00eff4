import { type DeviceRow, type DeviceState, formatBytes, parseTimestamp } from "@nix-ota/common";
import type { ComponentChildren, JSX } from "preact";
import { Activity } from "./Activity.tsx";
import { Badge } from "./Badge.tsx";
import { Marks } from "./DeviceLine.tsx";
import { LastResult } from "./LastResult.tsx";
import { PendingDevice } from "./PendingDevice.tsx";
import { When } from "./When.tsx";
import { pathsWords, plain, STANDING_HELP } from "./words.ts";

/** Longest text of a device on its own page, in UTF-16 code units: what a report may hold. */
const TEXT_MAX = 2048;

/** All that is known of a device. */
export function DeviceSheet({ device, origin, nowMs }: {
  device: DeviceRow;
  origin: string;
  nowMs: number;
}): JSX.Element {
  return (
    <>
      {device.status === "pending" && (
        <section class="card pending" aria-labelledby="accept">
          <h2 id="accept">This device asks to join</h2>
          <p class="quiet">Compare the fingerprint with the one that the device shows, then accept it.</p>
          <PendingDevice device={device} origin={origin} />
        </section>
      )}
      <div class="sheets">
        <div class="column">
          <Now device={device} nowMs={nowMs} />
          <Identity device={device} nowMs={nowMs} />
        </div>
        {device.state && <System state={device.state} runningRevision={device.runningRevision} />}
      </div>
    </>
  );
}

function Now({ device, nowMs }: { device: DeviceRow; nowMs: number }): JSX.Element {
  const { standing, state, seenMs } = device;
  const sinceMs = state === null ? null : parseTimestamp(state.since);
  return (
    <Sheet title="Now">
      <Fact name="Standing">
        <Badge standing={standing} />
        <Marks device={device} />
        <small class="help">{STANDING_HELP[standing]}</small>
      </Fact>
      <Fact name="Activity">
        <Activity device={device} />
        {state?.phase === "staging" && state.progress && <small class="help">{pathsWords(state.progress)}</small>}
      </Fact>
      {sinceMs !== null && (
        <Fact name="Since">
          <When atMs={sinceMs} nowMs={nowMs} />
        </Fact>
      )}
      <Fact name="Last result">
        <LastResult device={device} />
      </Fact>
      {state?.detail && <Fact name="Detail">{plain(state.detail, TEXT_MAX)}</Fact>}
      <Fact name="Seen">
        {seenMs === null ? "never" : <When atMs={seenMs} nowMs={nowMs} />}
      </Fact>
      <List name="Held back by" items={state?.inhibitors ?? []} />
      <List name="Failed units" items={state?.failedUnits ?? []} />
    </Sheet>
  );
}

function System({ state, runningRevision }: { state: DeviceState; runningRevision: number | null }): JSX.Element {
  const { running, booted, profile, bootDefault, disk } = state;
  const others = [["Booted", booted], ["Profile", profile], ["Starts next", bootDefault]] as const;
  return (
    <Sheet title="System">
      <Fact name="Runs release">{runningRevision ?? "unknown"}</Fact>
      <Path name="Running" path={running} />
      {others.map(([name, path]) => path !== running && <Path key={name} name={name} path={path} />)}
      <Fact name="NixOS">{plain(state.nixosVersion ?? "unknown")}</Fact>
      <Fact name="Kernel">{plain(state.kernel ?? "unknown")}</Fact>
      <Fact name="Agent">{plain(state.agent)}</Fact>
      {disk && <Fact name="Store's disk">{formatBytes(disk.free)} of {formatBytes(disk.total)} free</Fact>}
    </Sheet>
  );
}

function Identity({ device, nowMs }: { device: DeviceRow; nowMs: number }): JSX.Element {
  return (
    <Sheet title="Identity">
      <Fact name="Status">{device.status}</Fact>
      <Fact name="Fingerprint">
        <code>{plain(device.fingerprint)}</code>
      </Fact>
      <Fact name="Host name">{plain(device.hostname)}</Fact>
      <Fact name="Enrolled">
        <When atMs={device.enrolledMs} nowMs={nowMs} />
      </Fact>
    </Sheet>
  );
}

function Sheet({ title, children }: { title: string; children: ComponentChildren }): JSX.Element {
  const id = `sheet-${title.toLowerCase()}`;
  return (
    <section class="card sheet" aria-labelledby={id}>
      <h2 id={id}>{title}</h2>
      <dl>{children}</dl>
    </section>
  );
}

function Fact({ name, children }: { name: string; children: ComponentChildren }): JSX.Element {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function Path({ name, path }: { name: string; path: string | null }): JSX.Element {
  return <Fact name={name}>{path === null ? "unknown" : <code>{plain(path, TEXT_MAX)}</code>}</Fact>;
}

function List({ name, items }: { name: string; items: readonly string[] }): JSX.Element | null {
  if (items.length === 0) return null;
  return (
    <Fact name={name}>
      <ul>{items.map((item) => <li key={item}>{plain(item)}</li>)}</ul>
    </Fact>
  );
}
