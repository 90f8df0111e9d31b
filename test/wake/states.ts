import { parseAddress } from "../../src/routing/address.ts";
import type { Effect, Moment, Seen, WakeEvent, WakeState } from "../../src/wake/state.ts";

function addressOf(text: string) {
  const address = parseAddress(text);
  if (!address.ok) throw new Error(address.error);
  return address.value;
}

export const here = addressOf("10.0.0.7:25565");
export const elsewhere = addressOf("10.0.0.8:25565");
export const payer = { ip: "203.0.113.1", player: "Steve" };

/** The time of all events of the table, ms. */
export const now = 1_000_000;

export const moment: Moment = {
  now,
  isAwaited: true,
  timeoutMs: 90_000,
  afterAcceptMs: null,
  coolDownMs: 600_000,
  pauseMs: () => 2_000,
};

const quiet = { start: false, look: false };
const evidence = {
  wasDown: true,
  wasAlive: false,
  wasFailed: false,
  openSince: null,
  word: "stopped",
  trouble: null,
};

const looking = {
  kind: "looking",
  calls: { start: false, look: true },
  since: now - 100,
  round: 1,
  doubt: null,
  down: null,
} as const;

const starting = {
  kind: "starting",
  calls: quiet,
  since: now - 10_000,
  acceptedAt: now - 9_900,
  payer,
  until: now + 80_000,
  round: 5,
  lookedAt: now - 6_000,
  isResting: false,
  isLast: false,
  evidence,
} as const;

const up = {
  kind: "up",
  calls: quiet,
  address: here,
  since: now - 60_000,
  confirmedAt: now - 60_000,
} as const;

/** One state of each kind, and those in which a kind behaves differently. */
export const states = {
  unknown: { kind: "unknown", calls: quiet },
  looking,
  "looking, asleep": {
    ...looking,
    calls: quiet,
    round: 2,
    down: { kind: "stopped", word: "stopped" },
  },
  "starting, not accepted": {
    ...starting,
    acceptedAt: null,
    calls: { start: true, look: false },
  },
  "starting, refused": { ...starting, acceptedAt: null },
  starting,
  "starting, seen alive": { ...starting, evidence: { ...evidence, wasAlive: true } },
  "starting, resting": { ...starting, isResting: true },
  "starting by itself": { ...starting, payer: null, evidence: { ...evidence, wasAlive: true } },
  up,
  "up, just looked at": { ...up, confirmedAt: now - 100 },
  failed: {
    kind: "failed",
    calls: quiet,
    since: now - 1_000,
    reason: "disk full",
    message: null,
    until: now + 599_000,
  },
} as const satisfies Readonly<Record<string, WakeState>>;

const seen = (each: Seen): WakeEvent => ({ kind: "looked", seen: each, tookMs: 0 });
const loading = { kind: "loading", address: here, by: "control-plane", reason: "mute" } as const;
const doubt = { address: here, reason: "refuses connections" };

/** One event of each kind, and each answer that a look can have. */
export const events = {
  login: { kind: "login" },
  deserted: { kind: "deserted" },
  pinged: { kind: "pinged" },
  "seen ready": seen({ kind: "ready", address: here, by: "control-plane" }),
  "seen ready elsewhere": seen({ kind: "ready", address: elsewhere, by: "control-plane" }),
  "seen loading": seen({ ...loading, port: "open" }),
  "seen starting": seen({ kind: "starting", word: "starting" }),
  "seen stopped": seen({ kind: "stopped", word: "stopped" }),
  "seen delayed": seen({ kind: "delayed", ms: 5_000 }),
  "seen failed": seen({ kind: "failed", reason: "says failed", message: "disk full" }),
  "seen trouble": seen({ kind: "trouble", reason: "status 500" }),
  permitted: { kind: "permitted", payer },
  started: { kind: "started" },
  refused: { kind: "refused", reason: "status 500", isFinal: false },
  "refused for good": { kind: "refused", reason: "status 500", isFinal: true },
  due: { kind: "due" },
  expired: { kind: "expired" },
  "dial failed": { kind: "dial-failed", doubt, since: now - 50 },
  moved: { kind: "moved", address: elsewhere },
  removed: { kind: "removed" },
  stopping: { kind: "stopping" },
} as const satisfies Readonly<Record<string, WakeEvent>>;

/** An effect in a word or two. */
export function effectText(effect: Effect): string {
  switch (effect.kind) {
    case "look":
      return `look ${effect.how}${effect.triesOwn ? " own" : ""}`;
    case "wait":
      return `wait ${effect.ms}`;
    case "count":
      return `count ${effect.result}`;
    default:
      return effect.kind;
  }
}
