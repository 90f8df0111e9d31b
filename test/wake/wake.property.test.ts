import { expect, test } from "bun:test";
import fc from "fast-check";
import type { Effect, Seen, WakeEvent, WakeState } from "../../src/wake/state.ts";
import { initialWake, next } from "../../src/wake/wake.ts";
import { elsewhere, here, moment, payer } from "./states.ts";

/** A server whose clients, platform and clock do what the test says, as `wakes.ts` would hear of it. */
interface World {
  state: WakeState;
  now: number;
  waiting: number;
  starts: number;
  looks: number;
  charged: number;
  refunded: number;
  sent: number;
  dueAt: number | null;
  isElecting: boolean;
}

const seens: readonly Seen[] = [
  { kind: "ready", address: here, by: "control-plane" },
  { kind: "ready", address: elsewhere, by: "row" },
  { kind: "loading", address: here, by: "control-plane", port: "closed", reason: "closed" },
  { kind: "loading", address: here, by: "control-plane", port: "open", reason: "open" },
  { kind: "loading", address: here, by: "control-plane", port: "no-status", reason: "no status" },
  { kind: "starting", word: "starting" },
  { kind: "stopped", word: "stopped" },
  { kind: "delayed", ms: 5_000 },
  { kind: "failed", reason: "failed", message: null },
  { kind: "trouble", reason: "status 500" },
];

type Command =
  | { readonly kind: "login" | "leave" | "ping" | "accept" | "permit" | "deny" | "remove" | "stop" }
  | { readonly kind: "look"; readonly seen: Seen }
  | { readonly kind: "refuse"; readonly isFinal: boolean }
  | { readonly kind: "wait"; readonly ms: number }
  | { readonly kind: "dial-failed" | "move"; readonly isHere: boolean };

const plain = fc.constantFrom<Command>(
  { kind: "login" },
  { kind: "login" },
  { kind: "leave" },
  { kind: "ping" },
  { kind: "accept" },
  { kind: "permit" },
  { kind: "permit" },
  { kind: "deny" },
  { kind: "remove" },
  { kind: "stop" },
);
const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 4, arbitrary: plain },
  {
    weight: 4,
    arbitrary: fc.constantFrom(...seens).map((seen): Command => ({ kind: "look", seen })),
  },
  { weight: 1, arbitrary: fc.boolean().map((isFinal): Command => ({ kind: "refuse", isFinal })) },
  {
    weight: 3,
    arbitrary: fc
      .constantFrom(100, 500, 2_000, 20_000, 90_000, 700_000)
      .map((ms): Command => ({ kind: "wait", ms })),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.constantFrom("dial-failed" as const, "move" as const), fc.boolean())
      .map(([kind, isHere]): Command => ({ kind, isHere })),
  },
);

const createWorld = (): World => ({
  state: initialWake,
  now: 0,
  waiting: 0,
  starts: 0,
  looks: 0,
  charged: 0,
  refunded: 0,
  sent: 0,
  dueAt: null,
  isElecting: false,
});

function tell(world: World, event: WakeEvent): void {
  const { now, waiting } = world;
  const step = next(world.state, event, { ...moment, now, isAwaited: waiting > 0 });
  world.state = step.state;
  for (const effect of step.effects) run(world, effect);
  if (world.state.kind !== "looking" || world.state.down === null) world.isElecting = false;
}

function run(world: World, effect: Effect): void {
  switch (effect.kind) {
    case "look":
      world.looks += 1;
      return;
    case "start":
      world.starts += 1;
      return;
    case "tell-started":
      world.sent += 1;
      return;
    case "wait":
      world.dueAt = world.now + effect.ms;
      return;
    case "elect":
      world.isElecting = true;
      return;
    case "refund":
      world.refunded += 1;
      return;
    case "release":
    case "fail":
    case "dismiss":
      // They got in, or were told.
      world.waiting = 0;
      return;
    default:
      return;
  }
}

function obey(world: World, command: Command): void {
  if (command.kind === "wait") pass(world, world.now + command.ms);
  const event = eventOf(world, command);
  if (event !== null) tell(world, event);
}

/** What the wake hears of a command; null where it can mean nothing now. */
function eventOf(world: World, command: Command): WakeEvent | null {
  switch (command.kind) {
    case "login":
      world.waiting += 1;
      return { kind: "login" };
    case "leave":
      if (world.waiting === 0) return null;
      world.waiting -= 1;
      return world.waiting === 0 ? { kind: "deserted" } : null;
    case "ping":
      return { kind: "pinged" };
    case "look":
      if (world.looks === 0) return null;
      world.looks -= 1;
      return { kind: "looked", seen: command.seen, tookMs: 0 };
    case "accept":
      if (world.starts === 0) return null;
      world.starts -= 1;
      return { kind: "started" };
    case "refuse":
      if (world.starts === 0) return null;
      world.starts -= 1;
      return { kind: "refused", reason: "status 500", isFinal: command.isFinal };
    case "permit":
      if (!world.isElecting) return null;
      world.charged += 1;
      return { kind: "permitted", payer };
    case "deny":
      if (!world.isElecting) return null;
      world.waiting = 0;
      return { kind: "deserted" };
    case "remove":
      return { kind: "removed" };
    case "stop":
      return { kind: "stopping" };
    case "dial-failed": {
      const doubt = { address: command.isHere ? here : elsewhere, reason: null };
      return { kind: "dial-failed", doubt, since: world.now };
    }
    case "move":
      return { kind: "moved", address: command.isHere ? here : elsewhere };
    case "wait":
      return null;
  }
}

const untilOf = ({ state }: World): number | null =>
  (state.kind === "starting" && !state.isLast) || state.kind === "failed" ? state.until : null;

/** Lets time pass; what is due on the way happens at its time. */
function pass(world: World, untilMs: number): void {
  for (;;) {
    const times = [world.dueAt, untilOf(world)].filter((time) => time !== null);
    const first = Math.max(world.now, Math.min(...times, Number.POSITIVE_INFINITY));
    if (first > untilMs) break;
    world.now = first;
    if (world.dueAt !== null && world.dueAt <= first) {
      world.dueAt = null;
      tell(world, { kind: "due" });
    } else {
      tell(world, { kind: "expired" });
    }
  }
  world.now = untilMs;
}

const runs = { numRuns: 1_000 };
const commands = fc.array(command, { minLength: 10, maxLength: 80, size: "max" });

test("a server never has two starts under way, nor two looks", () => {
  fc.assert(
    fc.property(commands, (all) => {
      const world = createWorld();
      for (const each of all) {
        obey(world, each);
        expect(world.starts).toBeLessThanOrEqual(1);
        expect(world.looks).toBeLessThanOrEqual(1);
        expect(world.state.calls).toEqual({ start: world.starts > 0, look: world.looks > 0 });
      }
    }),
    runs,
  );
});

test("each charge is one start, and is given back once at most", () => {
  fc.assert(
    fc.property(commands, (all) => {
      const world = createWorld();
      for (const each of all) {
        const before = { ...world };
        obey(world, each);
        expect(world.charged - before.charged).toBe(world.sent - before.sent);
        expect(world.refunded).toBeLessThanOrEqual(world.charged);
        if (world.refunded === before.refunded) continue;
        expect(world.refunded).toBe(before.refunded + 1);
        // Only the start that was under way, and only because its server is up and was never seen down.
        expect(before.state).toMatchObject({
          kind: "starting",
          payer,
          evidence: { wasDown: false },
        });
        expect(world.state.kind).toBe("up");
      }
    }),
    runs,
  );
});

test("a client that waits is never forgotten: something is under way or due", () => {
  fc.assert(
    fc.property(commands, (all) => {
      const world = createWorld();
      for (const each of all) {
        obey(world, each);
        if (world.waiting === 0) continue;
        const { looks, starts, dueAt, isElecting } = world;
        expect({ world, busy: looks + starts > 0 || dueAt !== null || isElecting }).toMatchObject({
          busy: true,
        });
      }
    }),
    runs,
  );
});

test("every state has an exit: a server that runs lets clients in, at the second try at the latest", () => {
  fc.assert(
    fc.property(commands, (all) => {
      const world = createWorld();
      for (const each of all) obey(world, each);
      // The time of a start may be over just as the first one comes.
      for (let attempt = 1; attempt <= 2 && world.state.kind !== "up"; attempt += 1) {
        obey(world, { kind: "login" });
        for (let step = 0; step < 20 && world.waiting > 0; step += 1) {
          obey(world, { kind: "accept" });
          obey(world, { kind: "look", seen: { kind: "ready", address: here, by: "row" } });
          obey(world, { kind: "wait", ms: 2_000 });
        }
        expect(world.waiting).toBe(0);
      }
      expect(world.state.kind).toBe("up");
    }),
    runs,
  );
});

test("a start without clients ends by itself", () => {
  fc.assert(
    fc.property(commands, (all) => {
      const world = createWorld();
      for (const each of all) obey(world, each);
      while (world.waiting > 0) obey(world, { kind: "leave" });
      obey(world, { kind: "refuse", isFinal: false });
      for (let step = 0; step < 20; step += 1) {
        obey(world, { kind: "wait", ms: 700_000 });
        obey(world, { kind: "look", seen: { kind: "starting", word: "starting" } });
      }
      expect(world.state.kind).not.toBe("starting");
      expect(world.state.kind).not.toBe("looking");
    }),
    runs,
  );
});
