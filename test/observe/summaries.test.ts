import { expect, test } from "bun:test";
import type { SummaryEvent } from "../../src/observe/events.ts";
import { createSummaries } from "../../src/observe/summaries.ts";
import type { SessionFacts } from "../../src/session/event.ts";
import { answered, dropped, type Outcome } from "../../src/session/outcome.ts";

/** Summaries on a clock that the test moves. */
function start(queueMs = 0) {
  const told: SummaryEvent[] = [];
  const due: { at: number; expire: () => void }[] = [];
  let now = 0;
  const observe = createSummaries({
    deadlines: {
      now: () => now,
      after(ms, expire) {
        due.push({ at: now + ms, expire });
        return { cancel: () => undefined };
      },
    },
    emit: (event) => told.push(event),
    near: (hostname) => (hostname === "surviwal.x" ? "survival.x" : null),
    queueMs: () => queueMs,
    perSecond: 1,
  });
  return {
    observe,
    told,
    end(facts: Partial<SessionFacts>, outcome: Outcome) {
      observe({ kind: "session-ended", session: { ...nobody, ...facts }, outcome, durationMs: 1 });
    },
    pass(ms: number) {
      now += ms;
      for (const { expire } of due.splice(0).filter(({ at }) => at <= now)) expire();
    },
  };
}

const nobody: SessionFacts = {
  id: 1,
  client: { ip: "192.0.2.1", port: 1 },
  intent: "login",
  protocol: 770,
  rawHost: null,
  hostname: null,
  route: null,
  row: null,
  backend: null,
  player: null,
  waitedMs: null,
};

test("unknown hostnames are told at once, then together every ten seconds, with what is near", () => {
  const { end, told, pass } = start();
  end({ hostname: "surviwal.x" }, dropped("unknown-host"));
  for (const hostname of ["a.x", "b.x"])
    end({ hostname, intent: "status" }, dropped("unknown-host"));
  expect(told).toEqual([
    { kind: "hostnames-unknown", count: 1, hostname: "surviwal.x", near: "survival.x" },
  ]);
  pass(10_000);
  pass(10_000);
  expect(told.slice(1)).toEqual([
    { kind: "hostnames-unknown", count: 2, hostname: "b.x", near: null },
  ]);
});

test("dead backends are told, for pings and logins alike", () => {
  const { end, told, pass } = start();
  const facts = { route: "a.x", backend: "10.0.0.5:25565" };
  end(facts, answered("unreachable", "connection refused"));
  end({ ...facts, intent: "status" }, dropped("no-answer", "no answer within 5 s"));
  pass(10_000);
  expect(told).toEqual([
    {
      kind: "backends-unreachable",
      count: 1,
      route: "a.x",
      backend: "10.0.0.5:25565",
      reason: "connection refused",
    },
    {
      kind: "backends-unreachable",
      count: 1,
      route: "a.x",
      backend: "10.0.0.5:25565",
      reason: "no answer within 5 s",
    },
  ]);
});

for (const { queueMs, count } of [
  { queueMs: 1_000, count: 0 },
  { queueMs: 1_001, count: 1 },
]) {
  test(`a wait of ${queueMs} ms for a turn is told ${count} times`, () => {
    const { observe, told } = start(queueMs);
    for (let client = 0; client < 3; client += 1) {
      observe({ kind: "session-accepted", client: { ip: "192.0.2.1", port: client } });
    }
    expect(told).toHaveLength(count);
  });
}
