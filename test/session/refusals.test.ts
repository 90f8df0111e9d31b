import { expect, test } from "bun:test";
import type { SessionEvent } from "../../src/session/event.ts";
import { createRefusals } from "../../src/session/refusals.ts";
import { manualDeadlines } from "../support/session/session-clock.ts";

test("each one counts, and one event every ten seconds tells of all of a kind", () => {
  const clock = manualDeadlines();
  const events: SessionEvent[] = [];
  const refusals = createRefusals({ deadlines: clock, emit: (event) => events.push(event) });
  const told = () => events.splice(0);

  refusals.count("rate", "203.0.113.1");
  expect(told()).toEqual([
    { kind: "clients-refused", why: "rate", count: 1, lastIp: "203.0.113.1" },
  ]);
  for (let count = 0; count < 1_000; count += 1) refusals.count("rate", `203.0.113.${count % 250}`);
  refusals.count("total", "198.51.100.1");
  expect(told()).toEqual([
    { kind: "clients-refused", why: "total", count: 1, lastIp: "198.51.100.1" },
  ]);
  expect(refusals.counts()).toEqual({
    rate: 1_001,
    client: 0,
    total: 1,
    opening: 0,
    pings: 0,
    logins: 0,
  });

  clock.advance(9_999);
  expect(told()).toEqual([]);
  clock.advance(1);
  expect(told()).toEqual([
    { kind: "clients-refused", why: "rate", count: 1_000, lastIp: "203.0.113.249" },
  ]);
  clock.advance(10_000);
  expect(told()).toEqual([]);
  expect(clock.pending).toBe(0);
  refusals.count("rate", "203.0.113.9");
  expect(told()).toHaveLength(1);
});
