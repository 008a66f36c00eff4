/**
 * What this agent is.
 * @module
 */

/** Version of the agent, as it says in check-ins. */
export const AGENT_VERSION = "0.1.0";

/**
 * A time that has certainly passed when this agent runs: the floor of every clock (protocol 2.4). Milliseconds since
 * 1970; moved forward with each release of the agent.
 */
export const AGENT_BUILT_MS: number = Date.UTC(2026, 0, 1);
