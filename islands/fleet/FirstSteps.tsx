import type { JSX } from "preact";
import { Command } from "./Command.tsx";
import { agentConfig, KEYGEN_COMMAND, publishCommand } from "./command.ts";

/** What to do on a server that has no device yet. */
export function FirstSteps({ origin, channel }: { origin: string; channel: string | null }): JSX.Element {
  const name = channel ?? "prod";
  return (
    <section class="card steps" aria-labelledby="steps">
      <h2 id="steps">Bring up your first device</h2>
      <ol>
        <li data-done={channel !== null}>
          <h3>Make a release key</h3>
          <p>
            Once, where releases are signed. The private half never leaves that place, and this server never sees it.
          </p>
          <Command text={KEYGEN_COMMAND} label="make a release key" />
        </li>
        <li data-done={channel !== null}>
          <h3>Publish a release</h3>
          <p>Build a NixOS system, copy it to your binary cache, then sign and publish it.</p>
          <Command text={publishCommand(origin, name)} label="publish a release" />
        </li>
        <li>
          <h3>Tell a device about it</h3>
          <p>
            As <code>/etc/nix-ota/agent.json</code> in the device's system. <code>publicKey</code> is what{" "}
            <code>keygen</code> printed: the device runs nothing that was not signed with it.
          </p>
          <Command text={agentConfig(origin, name)} label="the agent's configuration" />
        </li>
        <li>
          <h3>Accept it</h3>
          <p>The device appears here by itself, with its fingerprint and the command that lets it in.</p>
        </li>
      </ol>
    </section>
  );
}
