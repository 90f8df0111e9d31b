import { describe, expect, test } from "bun:test";
import { login } from "../support/minecraft/wire.ts";
import { echo, startBackend } from "../support/net/backend.ts";
import type { Peer } from "../support/net/peer.ts";
import { planes } from "../support/net/relayed.ts";
import { manualDeadlines } from "../support/session/session-clock.ts";
import {
  route,
  type SessionWorld,
  type SessionWorldOptions,
  startSessions,
} from "../support/session/session-world.ts";
import { until } from "../support/until.ts";

// Sessions that a relay thread has are told, counted, listed and cut like all others.

const opening = login({ host: "a.example.com", name: "Steve" });
const never = new AbortController().signal;

describe.each(planes)("sessions relayed by %s", (plane) => {
  const startWorld = (address: string, options: SessionWorldOptions = {}): SessionWorld =>
    startSessions({ routes: [route("a.example.com", address)], relay: plane, ...options });

  /** A player who plays: what he says comes back. Resolves when a relay thread has him, on its plane; gives how much he said. */
  async function play(world: SessionWorld): Promise<{ player: Peer; said: number }> {
    const before = world.handedOver();
    const player = await world.player(opening);
    let said = opening.length;
    await player.waitForLength(said);
    // A thread that is just starting takes him when his backend speaks again.
    while (plane === "thread" && world.handedOver() === before) {
      await player.send(Buffer.from("."));
      said += 1;
      await player.waitForLength(said);
    }
    return { player, said };
  }

  test("are listed with what they have relayed, oldest first, and told with the same sums at their end", async () => {
    using backend = startBackend(echo);
    await using world = startWorld(backend.address);
    const first = await play(world);
    const silent = await world.player();
    const second = await play(world);
    await until("the last bytes are counted", () =>
      world.sessions.list().every(({ relayed }) => relayed?.toBackend === relayed?.toClient),
    );
    expect(world.sessions.list().map(({ facts, relayed }) => [facts.id, relayed])).toEqual([
      [1, { toBackend: first.said, toClient: first.said }],
      [2, null],
      [3, { toBackend: second.said, toClient: second.said }],
    ]);
    expect(world.sessions.count()).toBe(3);
    second.player.close();
    const { session, outcome } = await world.ended();
    expect(session).toMatchObject({ id: 3, route: "a.example.com", player: { name: "Steve" } });
    expect(outcome).toEqual({
      kind: "relayed",
      end: { toBackend: second.said, toClient: second.said, endedBy: "client", ending: "fin" },
    });
    await until("it is gone", () => world.sessions.count() === 2);
    silent.close();
  });

  test("take a place of the router and of their address until they are over", async () => {
    using backend = startBackend(echo);
    await using world = startWorld(backend.address, { clientLimits: { connections: 1 } });
    const { player } = await play(world);
    const refused = await world.player();
    expect(await refused.waitForEnd()).toBe("reset");
    player.close();
    await until("it is over", () => world.sessions.count() === 0);
    await play(world);
  });

  test("may go on while the router drains, and it ends with the last of them", async () => {
    using backend = startBackend(echo);
    await using world = startWorld(backend.address);
    const { player, said } = await play(world);
    const drained = world.sessions.drain(60_000, never);
    await player.send(Buffer.from("still there"));
    await player.waitForLength(said + 11);
    player.close();
    expect(await drained).toBe(0);
    expect(world.sessions.count()).toBe(0);
  });

  test("are cut when the time to drain is over, counted once and told", async () => {
    const deadlines = manualDeadlines();
    using backend = startBackend(echo);
    await using world = startWorld(backend.address, { deadlines });
    const played = [await play(world), await play(world)];
    const now = new AbortController();
    const drained = world.sessions.drain(30_000, now.signal);
    deadlines.advance(29_999);
    expect(world.sessions.count()).toBe(2);
    deadlines.advance(1);
    now.abort();
    expect(await drained).toBe(2);
    for (const { player } of played) expect(await player.waitForEnd()).toBe("reset");
    const { outcome } = await world.ended(1);
    expect(outcome).toMatchObject({ end: { endedBy: "client", ending: "aborted" } });
    expect(world.count("session-ended")).toBe(2);
    await until("no deadline is left", () => deadlines.pending === 0);
  });

  test("whose last event throws are over all the same, and the defect is told", async () => {
    using backend = startBackend(echo);
    await using world = startWorld(backend.address, {
      onEvent({ kind }) {
        if (kind === "session-ended") throw new Error("thrown by an observer");
      },
    });
    const { player } = await play(world);
    player.close();
    await world.waitForEvent("fault");
    await until("it is over", () => world.sessions.count() === 0);
    await play(world);
  });
});
