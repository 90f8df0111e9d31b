import { describe, expect, test } from "bun:test";
import type { Moment, Seen, WakeEvent, WakeState } from "../../src/wake/state.ts";
import { initialWake, next } from "../../src/wake/wake.ts";
import { effectText, elsewhere, events, here, moment, now, payer, states } from "./states.ts";

type StateName = keyof typeof states;
type EventName = keyof typeof events;

/**
 * What each event leads to while a client waits: the state, then the effects. What is left out changes
 * nothing.
 */
const expected: Readonly<Record<StateName, Partial<Record<EventName, string>>>> = {
  unknown: {
    login: "looking, look first",
    "seen ready": "up",
    "seen ready elsewhere": "up",
    permitted: "unknown, refund",
    removed: "unknown, dismiss",
    stopping: "looking, look first",
  },
  looking: {
    deserted: "unknown",
    "seen ready": "up, release",
    "seen ready elsewhere": "up, release",
    "seen loading": "starting, wait 2000",
    "seen starting": "starting, wait 2000",
    "seen stopped": "looking, wait 2000, elect",
    "seen delayed": "starting, wait 2000",
    "seen failed": "looking, wait 2000, elect",
    "seen trouble": "looking, wait 2000, elect",
    permitted: "looking, refund",
    removed: "unknown, dismiss",
  },
  "looking, asleep": {
    login: "looking, elect",
    deserted: "unknown",
    "seen ready": "up, release",
    "seen ready elsewhere": "up, release",
    "seen loading": "starting, wait 2000",
    "seen starting": "starting, wait 2000",
    "seen stopped": "looking, wait 2000, elect",
    "seen delayed": "starting, wait 2000",
    "seen failed": "looking, wait 2000, elect",
    "seen trouble": "looking, wait 2000, elect",
    permitted: "starting, tell-started, start, wait 2000",
    due: "looking, look first",
    moved: "looking, look first",
    removed: "unknown, dismiss",
    stopping: "looking, look first",
  },
  "starting, not accepted": {
    deserted: "starting, tell-abandoned",
    "seen ready": "up, count up, learn, tell-up, release",
    "seen ready elsewhere": "up, count up, learn, tell-up, release",
    "seen loading": "starting, wait 2000",
    "seen starting": "starting, wait 2000",
    "seen stopped": "starting, wait 2000",
    "seen delayed": "starting, wait 2000",
    "seen failed": "failed, count failed, tell-failed, fail",
    "seen trouble": "starting, wait 2000",
    permitted: "starting, refund",
    started: "starting, look ready",
    refused: "starting, look ready own",
    "refused for good": "starting, look ready own",
    due: "starting, look ready",
    moved: "starting, look ready",
    removed: "unknown, tell-abandoned, dismiss",
    stopping: "looking, tell-abandoned, look first",
  },
  "starting, refused": {
    deserted: "starting, tell-abandoned",
    "seen ready": "up, count up, learn, tell-up, release",
    "seen ready elsewhere": "up, count up, learn, tell-up, release",
    "seen loading": "starting, wait 2000",
    "seen starting": "starting, wait 2000",
    "seen stopped": "starting, wait 2000",
    "seen delayed": "starting, wait 2000",
    "seen failed": "failed, count failed, tell-failed, fail",
    "seen trouble": "starting, wait 2000",
    permitted: "starting, refund",
    started: "starting, look ready",
    refused: "starting, look ready own",
    "refused for good": "starting, look ready own",
    due: "starting, start, wait 2000",
    moved: "starting, look ready own",
    removed: "unknown, tell-abandoned, dismiss",
    stopping: "looking, tell-abandoned, look first",
  },
  starting: {
    deserted: "starting, tell-abandoned",
    "seen ready": "up, count up, learn, tell-up, release",
    "seen ready elsewhere": "up, count up, learn, tell-up, release",
    "seen loading": "starting, wait 2000",
    "seen starting": "starting, wait 2000",
    "seen stopped": "starting, wait 2000",
    "seen delayed": "starting, wait 2000",
    "seen failed": "failed, count failed, tell-failed, fail",
    "seen trouble": "starting, wait 2000",
    permitted: "starting, refund",
    started: "starting, look ready",
    refused: "starting, look ready",
    "refused for good": "starting, look ready",
    due: "starting, look ready",
    moved: "starting, look ready",
    removed: "unknown, tell-abandoned, dismiss",
    stopping: "looking, tell-abandoned, look first",
  },
  "starting, seen alive": {
    deserted: "starting, tell-abandoned",
    "seen ready": "up, count up, learn, tell-up, release",
    "seen ready elsewhere": "up, count up, learn, tell-up, release",
    "seen loading": "starting, wait 2000",
    "seen starting": "starting, wait 2000",
    "seen stopped": "looking, count failed, tell-failed, wait 2000, elect",
    "seen delayed": "starting, wait 2000",
    "seen failed": "failed, count failed, tell-failed, fail",
    "seen trouble": "starting, wait 2000",
    permitted: "starting, refund",
    started: "starting, look ready",
    refused: "starting, look ready",
    "refused for good": "starting, look ready",
    due: "starting, look ready",
    moved: "starting, look ready",
    removed: "unknown, tell-abandoned, dismiss",
    stopping: "looking, tell-abandoned, look first",
  },
  "starting, resting": {
    login: "starting, look ready",
    deserted: "starting, tell-abandoned",
    pinged: "starting, look ready",
    "seen ready": "up, count up, learn, tell-up, release",
    "seen ready elsewhere": "up, count up, learn, tell-up, release",
    "seen loading": "starting, wait 2000",
    "seen starting": "starting, wait 2000",
    "seen stopped": "starting, wait 2000",
    "seen delayed": "starting, wait 2000",
    "seen failed": "failed, count failed, tell-failed, fail",
    "seen trouble": "starting, wait 2000",
    permitted: "starting, refund",
    started: "starting, look ready",
    refused: "starting, look ready",
    "refused for good": "starting, look ready",
    due: "starting, look ready",
    moved: "starting, look ready",
    removed: "unknown, tell-abandoned, dismiss",
    stopping: "looking, tell-abandoned, look first",
  },
  "starting by itself": {
    deserted: "starting, tell-abandoned",
    "seen ready": "up, tell-up, release",
    "seen ready elsewhere": "up, tell-up, release",
    "seen loading": "starting, wait 2000",
    "seen starting": "starting, wait 2000",
    "seen stopped": "looking, tell-failed, wait 2000, elect",
    "seen delayed": "starting, wait 2000",
    "seen failed": "failed, tell-failed, fail",
    "seen trouble": "starting, wait 2000",
    permitted: "starting, refund",
    started: "starting, look ready",
    refused: "looking, look first",
    "refused for good": "looking, look first",
    due: "starting, look ready",
    moved: "starting, look ready",
    removed: "unknown, tell-abandoned, dismiss",
    stopping: "looking, tell-abandoned, look first",
  },
  up: {
    login: "up, look first",
    "seen ready": "up, release",
    "seen ready elsewhere": "up, release",
    "seen loading": "starting, wait 2000",
    "seen starting": "starting, wait 2000",
    "seen stopped": "looking, wait 2000, elect",
    "seen delayed": "starting, wait 2000",
    "seen failed": "looking, wait 2000, elect",
    "seen trouble": "up, release",
    permitted: "up, refund",
    "dial failed": "looking, wait 500",
    moved: "looking, look first",
    removed: "unknown, dismiss",
    stopping: "looking, look first",
  },
  "up, just looked at": {
    login: "up, release",
    "seen ready": "up, release",
    "seen ready elsewhere": "up, release",
    "seen loading": "starting, wait 2000",
    "seen starting": "starting, wait 2000",
    "seen stopped": "looking, wait 2000, elect",
    "seen delayed": "starting, wait 2000",
    "seen failed": "looking, wait 2000, elect",
    "seen trouble": "up, release",
    permitted: "up, refund",
    "dial failed": "looking, wait 500",
    moved: "looking, look first",
    removed: "unknown, dismiss",
    stopping: "looking, look first",
  },
  failed: {
    login: "looking, look first",
    "seen ready": "up",
    "seen ready elsewhere": "up",
    permitted: "failed, refund",
    removed: "unknown, dismiss",
    stopping: "looking, look first",
  },
};

const stateNames = Object.keys(states).filter((name): name is StateName => name in states);
const eventNames = Object.keys(events).filter((name): name is EventName => name in events);

for (const stateName of stateNames) {
  test(`${stateName}: every event leads where the table says`, () => {
    const state: WakeState = states[stateName];
    for (const eventName of eventNames) {
      const isAwaited = eventName !== "deserted";
      const step = next(state, events[eventName], { ...moment, isAwaited });
      const text = [step.state.kind, ...step.effects.map(effectText)].join(", ");
      expect({ event: eventName, text }).toEqual({
        event: eventName,
        text: expected[stateName][eventName] ?? state.kind,
      });
    }
  });
}

/** Runs events one after the other, each at its time in ms, and gives the last state with all effects. */
function play(
  events: readonly (readonly [atMs: number, event: WakeEvent])[],
  more: Partial<Moment> = {},
): { readonly state: WakeState; readonly effects: readonly string[] } {
  let state = initialWake;
  const effects: string[] = [];
  for (const [atMs, event] of events) {
    const step = next(state, event, { ...moment, now: now + atMs, ...more });
    state = step.state;
    effects.push(...step.effects.map(effectText));
  }
  return { state, effects };
}

const seen = (each: Seen): WakeEvent => ({ kind: "looked", seen: each, tookMs: 0 });
const ready = seen({ kind: "ready", address: here, by: "control-plane" });
const stopped = seen({ kind: "stopped", word: "stopped" });
const starting = seen({ kind: "starting", word: "starting" });
const trouble = seen({ kind: "trouble", reason: "GET /servers/a: status 500" });
const failure = seen({ kind: "failed", reason: "says failed", message: "disk full" });
const port = (state: "closed" | "open" | "no-status"): WakeEvent =>
  seen({ kind: "loading", address: here, by: "control-plane", port: state, reason: state });
const login: WakeEvent = { kind: "login" };
const permitted: WakeEvent = { kind: "permitted", payer };
const started: WakeEvent = { kind: "started" };

describe("the budget", () => {
  test("a server that runs costs one look, and neither a start nor a charge", () => {
    expect(
      play([
        [0, login],
        [50, ready],
      ]).effects,
    ).toEqual(["look first", "release"]);
  });

  test("a start that found the server up all along is given back, however long that took", () => {
    const { effects } = play([
      [0, login],
      [50, trouble],
      [50, permitted],
      [15_000, started],
      [15_050, trouble],
      [40_000, ready],
    ]);
    expect(effects).toContain("refund");
    expect(effects).not.toContain("learn");
  });

  test("a start of a server that was down is charged, and its time is learned", () => {
    const { effects } = play([
      [0, login],
      [50, stopped],
      [50, permitted],
      [60, started],
      [70, starting],
      [9_000, ready],
    ]);
    expect(effects).toContain("learn");
    expect(effects).not.toContain("refund");
  });

  test("a server that starts already is joined without a charge", () => {
    const { effects, state } = play([
      [0, login],
      [50, starting],
    ]);
    expect(effects).not.toContain("elect");
    expect(state).toMatchObject({ kind: "starting", payer: null });
  });
});

describe("a server that takes connections and answers no status request", () => {
  const begun = [
    [0, login],
    [50, stopped],
    [50, permitted],
    [60, started],
  ] as const;

  test("is ready 20 s after its port was first open, if it closes each request", () => {
    const rows = [
      { atMs: 29_999, kind: "starting" },
      { atMs: 30_000, kind: "up" },
    ];
    for (const { atMs, kind } of rows) {
      const { state } = play([...begun, [10_000, port("open")], [atMs, port("no-status")]]);
      expect(state.kind).toBe(kind as WakeState["kind"]);
    }
  });

  test("is not ready while it just keeps silent, or has been closed meanwhile", () => {
    const silent = play([...begun, [10_000, port("open")], [60_000, port("open")]]);
    expect(silent.state.kind).toBe("starting");
    const reopened = play([
      ...begun,
      [10_000, port("no-status")],
      [20_000, port("closed")],
      [31_000, port("no-status")],
    ]);
    expect(reopened.state.kind).toBe("starting");
  });
});

describe("a server that goes down again", () => {
  test("on its way up is started again for those who wait, which is charged and counted", () => {
    const { state, effects } = play([
      [0, login],
      [50, stopped],
      [50, permitted],
      [60, started],
      [70, starting],
      [4_000, stopped],
      [4_000, permitted],
    ]);
    expect(effects.filter((effect) => effect === "start")).toHaveLength(2);
    expect(effects).toContain("count failed");
    expect(state).toMatchObject({ kind: "starting", until: now + 4_000 + moment.timeoutMs });
  });

  test("after it was up is started again at once", () => {
    const doubt = { address: here, reason: "refuses connections" };
    const { effects } = play([
      [0, login],
      [50, ready],
      [60, { kind: "dial-failed", doubt, since: now + 50 }],
      [560, { kind: "due" }],
      [600, stopped],
      [600, permitted],
    ]);
    expect(effects).toEqual([
      "look first",
      "release",
      "wait 500",
      "look doubt",
      "wait 2000",
      "elect",
      "tell-started",
      "start",
      "wait 2000",
    ]);
  });

  test("a platform that goes on saying that it is stopped is only slow", () => {
    const { state } = play([
      [0, login],
      [50, stopped],
      [50, permitted],
      [60, started],
      [70, stopped],
      [4_000, stopped],
    ]);
    expect(state.kind).toBe("starting");
  });
});

describe("a platform that says failed", () => {
  const begun = [
    [0, login],
    [50, stopped],
    [50, permitted],
    [60, started],
  ] as const;

  test("ends the wake with its message", () => {
    const { state, effects } = play([...begun, [3_000, failure]]);
    expect(state).toMatchObject({ kind: "failed", reason: "says failed", message: "disk full" });
    expect(effects).toContain("fail");
  });

  test("may mean the failure from before the start for 5 s, and only while it says nothing else", () => {
    const before = [
      [0, login],
      [50, failure],
      [50, permitted],
      [60, started],
    ] as const;
    const rows = [
      { name: "at once", answers: [[1_000, failure]], kind: "starting" },
      { name: "after 5 s", answers: [[5_060, failure]], kind: "failed" },
      {
        name: "after it was seen starting",
        answers: [
          [1_000, starting],
          [2_000, failure],
        ],
        kind: "failed",
      },
    ] as const;
    for (const { name, answers, kind } of rows) {
      expect({ name, kind: play([...before, ...answers]).state.kind }).toEqual({ name, kind });
    }
  });
});

describe("a start without clients", () => {
  const deserted = { isAwaited: false };
  const state: WakeState = states.starting;

  test("goes on, and is looked at for pings once in 5 s at most", () => {
    const left = next(state, { kind: "due" }, { ...moment, ...deserted }).state;
    const first = next(left, { kind: "pinged" }, { ...moment, ...deserted });
    expect(first.effects.map(effectText)).toEqual(["look ready"]);
    const looked = next(first.state, starting, { ...moment, ...deserted });
    expect(looked.effects).toEqual([]);
    const again = next(
      looked.state,
      { kind: "pinged" },
      { ...moment, ...deserted, now: now + 4_999 },
    );
    expect(again.effects).toEqual([]);
    const later = next(
      looked.state,
      { kind: "pinged" },
      { ...moment, ...deserted, now: now + 5_000 },
    );
    expect(later.effects.map(effectText)).toEqual(["look ready"]);
  });

  test("is decided by one last look when its time is over", () => {
    const over = { ...moment, ...deserted, now: now + 80_000 };
    const last = next(state, { kind: "expired" }, over);
    expect(last.effects.map(effectText)).toEqual(["look ready"]);
    expect(next(last.state, starting, over).state.kind).toBe("failed");
    expect(next(last.state, ready, over).state.kind).toBe("up");
  });
});

test("a moved address is dropped, unless the server was found there already", () => {
  const rows = [
    { address: here, kind: "up" },
    { address: elsewhere, kind: "unknown" },
  ] as const;
  for (const { address, kind } of rows) {
    const step = next(states.up, { kind: "moved", address }, { ...moment, isAwaited: false });
    expect(step.state.kind).toBe(kind);
  }
});

test("a dial that fails late says nothing about the address that was found since", () => {
  const doubt = { address: here, reason: "does not answer" };
  const event: WakeEvent = { kind: "dial-failed", doubt, since: states.up.since - 1 };
  expect(next(states.up, event, moment).state).toEqual(states.up);
});

test("when time runs out, the reason names the platform's last word", () => {
  const rows = [
    { word: "RUNNING", reason: 'its state stayed "RUNNING"; the router waits for "running"' },
    { word: "queued", reason: 'its state stayed "queued"' },
  ];
  for (const { word, reason } of rows) {
    const { state } = play([
      [0, login],
      [50, stopped],
      [50, permitted],
      [60, started],
      [70, seen({ kind: "stopped", word })],
      [90_050, { kind: "expired" }],
    ]);
    expect(state).toMatchObject({ kind: "failed", reason });
  }
});
