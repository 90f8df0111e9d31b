import { expect, test } from "bun:test";
import type { RouterEvent } from "../../src/observe/events.ts";
import { createServiceStatus } from "../../src/observe/service-status.ts";
import { ended, holding, relaying } from "../support/session/session-events.ts";

const live = (mode: "notify" | "poll"): RouterEvent => ({
  kind: "source-live",
  source: "postgres",
  routes: 3,
  mode,
  awayMs: 0,
});
const lost: RouterEvent = { kind: "source-lost", source: "postgres", reason: "gone", routes: 3 };
const draining: RouterEvent = { kind: "draining", signal: "SIGTERM", sessions: 1, drainMs: 1_000 };

const rows: { name: string; events: RouterEvent[]; routes: number; text: string }[] = [
  { name: "nothing yet", events: [], routes: 0, text: "0 routes, 0 players, 0 waiting" },
  {
    name: "a player who waits",
    events: [holding({ id: 1 })],
    routes: 1,
    text: "1 route, 0 players, 1 waiting",
  },
  {
    name: "a player who has waited",
    events: [holding({ id: 1 }), relaying({ id: 1 })],
    routes: 2,
    text: "2 routes, 1 player, 0 waiting",
  },
  {
    name: "a ping that is relayed",
    events: [relaying({ id: 1, intent: "status", player: null })],
    routes: 2,
    text: "2 routes, 0 players, 0 waiting",
  },
  {
    name: "players who have left",
    events: [relaying({ id: 1 }), holding({ id: 2 }), ended({ id: 1 }), ended({ id: 2 })],
    routes: 2,
    text: "2 routes, 0 players, 0 waiting",
  },
  {
    name: "a database",
    events: [live("notify")],
    routes: 3,
    text: "3 routes, 0 players, 0 waiting, database connected",
  },
  {
    name: "a database behind a pooler",
    events: [live("poll")],
    routes: 3,
    text: "3 routes, 0 players, 0 waiting, database polled",
  },
  {
    name: "a database that is away",
    events: [live("notify"), lost],
    routes: 3,
    text: "3 routes, 0 players, 0 waiting, database away, last known routes",
  },
  {
    name: "the end",
    events: [relaying({ id: 1 }), draining],
    routes: 3,
    text: "stopping: 3 routes, 1 player, 0 waiting",
  },
];
test.each(rows)("$name", ({ events, routes, text }) => {
  const status = createServiceStatus();
  for (const event of events) status.observe(event);
  expect(status.text(routes)).toBe(text);
});
