/**
 * The server of the fake device: answers check-ins and hands out releases. It checks what a device promises it.
 * @module
 */
import { type Checkin, ENVELOPE_CONTENT_TYPE, paths as wirePaths } from "@nix-ota/common";
import { type HttpAnswer, HttpError, type HttpRequest } from "../system.ts";
import { violate, type World } from "./world.ts";

/** Answers one request. @throws {HttpError} Where the server is down. */
export function answerFake(world: World, request: HttpRequest): HttpAnswer {
  if (!world.server.up) throw new HttpError("network", `Cannot ask ${request.url}: connection refused`);
  const path = new URL(request.url).pathname;
  if (path === wirePaths.checkin) return checkin(world, request);
  if (path === wirePaths.log) return json({});
  const revision = Number(/\/releases\/(\d+)$/.exec(path)?.[1] ?? 0);
  const envelope = world.server.releases.get(revision);
  if (envelope !== undefined) return answer(200, ENVELOPE_CONTENT_TYPE, envelope);
  return answer(404, "application/problem+json", new TextEncoder().encode('{"code":"not_found"}'));
}

function checkin(world: World, { body }: HttpRequest): HttpAnswer {
  // Not parsed as the real server does: the agent proves the form before it signs, and this is called very often.
  const { payload } = JSON.parse(new TextDecoder().decode(body)) as { payload: string };
  const document = JSON.parse(atob(payload)) as Checkin;
  const { server } = world;
  if (document.seq <= server.highestSeq) violate(world, `the check-in number ${document.seq} was sent twice`);
  const nonce = server.nonce + 1;
  world.server = { ...server, nonce, highestSeq: document.seq, heard: [...server.heard, document.state].slice(-40) };
  return json({
    v: 1,
    nonce: `n${nonce}`,
    serverTime: "2026-06-01T00:00:00Z",
    pollAfterSeconds: 60,
    root: 0,
    offer: server.offer,
  });
}

function json(value: unknown): HttpAnswer {
  return answer(200, "application/json", new TextEncoder().encode(JSON.stringify(value)));
}

function answer(status: number, type: string, body: HttpAnswer["body"]): HttpAnswer {
  return { status, body, header: (name) => name === "content-type" ? type : null };
}
