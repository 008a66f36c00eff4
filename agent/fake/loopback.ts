/**
 * The real client over real HTTP on loopback, on a device whose programs only note that they were called: for servers
 * that mean ill.
 * @module
 */
import type { LogFields, LogLevel } from "@nix-ota/common";
import type { Agent } from "../agent.ts";
import type { Config } from "../config.ts";
import type { Context } from "../context.ts";
import { openIdentity } from "../device_key.ts";
import { openAgent } from "../opening.ts";
import { agentPaths } from "../paths.ts";
import { createDenoSystem } from "../system_deno.ts";
import type { System } from "../system.ts";
import { fakeConfig, type Fleet } from "./device.ts";

/** How the server answers; null hangs up on nobody: it never answers. */
export type Handler = (request: Request) => Response | Promise<Response>;

/** An agent in a temporary folder, and a server that can be changed under it. */
export interface Loopback extends AsyncDisposable {
  readonly agent: Agent;
  readonly context: Context;
  /** Ends the agent. */
  readonly stop: () => void;
  /** Requests so far, as `METHOD path`. */
  readonly requests: string[];
  /** Programs so far, by name and first argument. */
  readonly programs: string[];
  readonly logged: string[];
  serve(handler: Handler): void;
}

/** No request takes longer here: the real limits are those of a satellite link. Milliseconds. */
const REQUEST_MAX_MS = 700;

/** Opens an agent against a server of the test's own. */
export async function openLoopback(fleet: Fleet, changes: Partial<Config> = {}): Promise<Loopback> {
  const folder = await Deno.makeTempDir({ prefix: "nix-ota-agent-" });
  const requests: string[] = [];
  const programs: string[] = [];
  const logged: string[] = [];
  const ending = new AbortController();
  const stopping = new AbortController();
  let handler: Handler = () => new Response("not yet", { status: 500 });
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, signal: ending.signal, onListen: () => {} },
    (request) => {
      requests.push(`${request.method} ${new URL(request.url).pathname}`);
      return handler(request);
    },
  );
  const real = createDenoSystem((level: LogLevel, event: string, fields?: LogFields) => {
    logged.push(`${level} ${event} ${JSON.stringify(fields ?? {})}`);
  });
  const system: System = {
    ...real,
    request: (request) => real.request({ ...request, timeoutMs: Math.min(request.timeoutMs, REQUEST_MAX_MS) }),
    run: ({ argv }) => {
      programs.push(`${argv[0]} ${argv[1]}`);
      return Promise.resolve({ code: 1, stdout: "", stderr: "error: a test", killed: null });
    },
    startDetached: (argv) => {
      programs.push(`switch ${argv[4]}`);
      return Promise.resolve(1);
    },
  };
  const config = fakeConfig(fleet, {
    server: `http://127.0.0.1:${server.addr.port}`,
    stateDir: `${folder}/state`,
    gcRootsDir: `${folder}/gcroots`,
    currentSystem: `${folder}/current-system`,
    bootedSystem: `${folder}/booted-system`,
    profile: `${folder}/system`,
    allowHttp: true,
    ...changes,
  });
  const tools = {
    nix: "nix",
    nixStore: "nix-store",
    nixEnv: "nix-env",
    sh: "sh",
    sync: "sync",
    df: "df",
    systemctl: null,
    systemdRun: null,
  };
  const context: Context = { config, paths: agentPaths(config), system, tools, stop: stopping.signal };
  await Deno.mkdir(config.stateDir, { recursive: true });
  const agent = await openAgent(context, await openIdentity(context), () => {});
  return {
    agent,
    context,
    stop: () => stopping.abort(),
    requests,
    programs,
    logged,
    serve(next) {
      handler = next;
    },
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await agent.close();
      ending.abort();
      await server.finished;
      await Deno.remove(folder, { recursive: true });
    },
  };
}
