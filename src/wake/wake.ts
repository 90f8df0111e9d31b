import { type Address, sameAddress } from "../routing/address.ts";
import type {
  Calls,
  Effect,
  Evidence,
  FoundBy,
  LookRequest,
  Moment,
  Payer,
  Seen,
  Step,
  WakeEvent,
  WakeState,
} from "./state.ts";

type Looking = WakeState & { readonly kind: "looking" };
type Starting = WakeState & { readonly kind: "starting" };
type Up = WakeState & { readonly kind: "up" };

/** For how long a look serves the logins that come after it, ms: 500 players at once need one answer. */
const freshMs = 1_000;
/** The pause before an address that took no player is looked at again, ms. */
const retryMs = 500;
/** The pause between two looks that only pings cause, ms. */
const pingedLookMs = 5_000;
/**
 * How long a server that answers no status request must have had its port open before it counts as ready, ms.
 */
const noStatusMs = 20_000;
/** For how long after an accepted start the failure from before it may still be told, ms. */
const staleFailureMs = 5_000;
/** The longest that a platform's own restarts may prolong a start, ms. */
const longestDelayMs = 600_000;

const stoppedAgain = "it stopped again before it was up";

/** Nothing is known, and nothing under way. */
export const initialWake: WakeState = { kind: "unknown", calls: { start: false, look: false } };

const nothingSeen: Evidence = {
  wasDown: false,
  wasAlive: false,
  wasFailed: false,
  openSince: null,
  word: null,
  trouble: null,
};

/**
 * What an event does to a server's wake. Pure: the caller runs the effects and brings their answers back as
 * events.
 */
export function next(state: WakeState, event: WakeEvent, moment: Moment): Step {
  switch (event.kind) {
    case "login":
      return onLogin(state, moment);
    case "deserted":
      return onDeserted(state, moment);
    case "pinged":
      return onPinged(state, moment);
    case "looked":
      return onLooked(withCalls(state, { look: false }), event.seen, moment);
    case "permitted":
      return onPermitted(state, event.payer, moment);
    case "started":
      return onStarted(withCalls(state, { start: false }), moment);
    case "refused":
      return onRefused(withCalls(state, { start: false }), event, moment);
    case "due":
      return onDue(state, moment);
    case "expired":
      return onExpired(state, moment);
    case "dial-failed":
      return onDialFailed(state, event, moment);
    case "moved":
      return onMoved(state, event.address, moment);
    case "removed":
      return {
        state: forgotten(state),
        effects: [...abandoned(state, moment), { kind: "dismiss" }],
      };
    case "stopping":
      return onStopping(state, moment);
  }
}

function onStopping(state: WakeState, moment: Moment): Step {
  const step = moment.isAwaited ? look(looking(state, moment)) : stay(forgotten(state));
  return { ...step, effects: [...abandoned(state, moment), ...step.effects] };
}

function onLogin(state: WakeState, moment: Moment): Step {
  switch (state.kind) {
    case "unknown":
    case "failed":
      return look(looking(state, moment));
    case "looking":
      return state.down === null ? stay(state) : { state, effects: [{ kind: "elect" }] };
    case "starting":
      return state.isResting ? look({ ...state, isResting: false }) : stay(state);
    case "up":
      return moment.now - state.confirmedAt < freshMs ? released(state) : look(state);
  }
}

function onDeserted(state: WakeState, moment: Moment): Step {
  if (state.kind === "looking") return stay(forgotten(state));
  return { state, effects: abandoned(state, moment) };
}

function onPinged(state: WakeState, { now }: Moment): Step {
  if (state.kind !== "starting" || !state.isResting) return stay(state);
  return now - state.lookedAt < pingedLookMs ? stay(state) : look(state);
}

function onLooked(state: WakeState, seen: Seen, moment: Moment): Step {
  switch (state.kind) {
    case "unknown":
    case "failed":
      // The client that caused the look has left.
      return seen.kind === "ready" ? stay(up(state, seen.address, moment)) : stay(state);
    case "looking":
    case "up":
      return onLookedFirst(state, seen, moment);
    case "starting":
      return onLookedStarting({ ...state, lookedAt: moment.now }, seen, moment);
  }
}

/** The answer to a look at a server that is not known to start. */
function onLookedFirst(state: Looking | Up, seen: Seen, moment: Moment): Step {
  switch (seen.kind) {
    case "ready":
      return released(up(state, seen.address, moment));
    case "loading":
    case "starting":
    case "delayed":
      return seenStarting(state, seen, moment);
    case "trouble":
      // A platform that cannot be asked locks no player out of a server that is known to be up.
      return state.kind === "up" ? released(state) : mustStart(state, seen, moment);
    case "stopped":
    case "failed":
      return moment.isAwaited ? mustStart(state, seen, moment) : stay(forgotten(state));
  }
}

/** The platform starts the server itself: no start is sent, and none is charged. */
function seenStarting(
  state: Looking | Up,
  seen: Seen & { readonly kind: "loading" | "starting" | "delayed" },
  moment: Moment,
): Step {
  const begun: Starting = {
    ...starting(state, null, moment),
    acceptedAt: moment.now,
    lookedAt: moment.now,
  };
  return onLookedStarting(begun, seen, moment);
}

/** It does not run: a client has to be found that may have it started. */
function mustStart(
  state: Looking | Up,
  down: Seen & { readonly kind: "stopped" | "failed" | "trouble" },
  moment: Moment,
): Step {
  // An earlier start has not been answered yet; a second one must not be under way beside it.
  if (state.calls.start) return after(starting(state, null, moment), moment);
  const before = state.kind === "looking" ? state : looking(state, moment);
  const wait: Effect = { kind: "wait", ms: moment.pauseMs(before.round) };
  return {
    state: { ...before, down, round: before.round + 1 },
    effects: [wait, { kind: "elect" }],
  };
}

function onLookedStarting(state: Starting, seen: Seen, moment: Moment): Step {
  const { evidence } = state;
  const seeing = (more: Partial<Evidence>): Starting => ({
    ...state,
    evidence: { ...evidence, ...more },
  });
  switch (seen.kind) {
    case "ready":
      return ready(state, seen.address, seen.by, moment);
    case "loading": {
      const openSince = seen.port === "closed" ? null : (evidence.openSince ?? moment.now);
      const isOpenLong = openSince !== null && moment.now - openSince >= noStatusMs;
      if (seen.port === "no-status" && isOpenLong) {
        return ready(state, seen.address, seen.by, moment);
      }
      // Why no start has been accepted says more than that the server is not there.
      const trouble = state.acceptedAt === null ? (evidence.trouble ?? seen.reason) : seen.reason;
      const alive = { wasAlive: true, wasFailed: false, trouble };
      return after(seeing({ ...alive, openSince }), moment);
    }
    case "starting":
      return after(seeing({ wasAlive: true, wasFailed: false, word: seen.word }), moment);
    case "stopped":
      if (evidence.wasAlive) return died(state, seen, moment);
      return after(seeing({ wasDown: true, wasFailed: false, word: seen.word }), moment);
    case "failed":
      return isStale(state, moment.now)
        ? after(seeing({ wasDown: true, trouble: seen.reason }), moment)
        : failed(state, seen.reason, seen.message, moment);
    case "delayed": {
      const limit = Math.max(state.until, state.since + longestDelayMs);
      const until = Math.min(limit, moment.now + seen.ms + moment.timeoutMs);
      return after({ ...seeing({ wasAlive: true }), until }, moment);
    }
    case "trouble":
      return after(seeing({ trouble: seen.reason }), moment);
  }
}

/** True while the platform may still tell of the failure from before this start. */
const isStale = ({ acceptedAt, evidence }: Starting, now: number): boolean =>
  evidence.wasFailed && (acceptedAt === null || now - acceptedAt < staleFailureMs);

/** It has gone down on its way up. A new start is charged like any other. */
function died(state: Starting, down: Seen & { readonly kind: "stopped" }, moment: Moment): Step {
  if (!moment.isAwaited || state.isLast) {
    return failed(state, stoppedAgain, null, moment);
  }
  const tookMs = moment.now - state.since;
  const { state: begun, effects } = mustStart(looking(state, moment), down, moment);
  return {
    state: begun,
    effects: [
      ...counted(state, "failed"),
      { kind: "tell-failed", reason: stoppedAgain, tookMs },
      ...effects,
    ],
  };
}

/** The look brought nothing: there is another one after a pause, while a client waits. */
function after(state: Starting, moment: Moment): Step {
  if (state.isLast) return failed(state, whyNot(state), null, moment);
  if (!moment.isAwaited) return stay({ ...state, isResting: true });
  return {
    state: { ...state, isResting: false, round: state.round + 1 },
    effects: [{ kind: "wait", ms: moment.pauseMs(state.round) }],
  };
}

function onPermitted(state: WakeState, payer: Payer, moment: Moment): Step {
  if (state.kind !== "looking" || state.down === null || state.calls.start) {
    return { state, effects: [{ kind: "refund", payer }] };
  }
  const { down } = state;
  const begun = starting(state, payer, moment);
  const evidence: Evidence = {
    ...nothingSeen,
    wasDown: down.kind !== "trouble",
    wasFailed: down.kind === "failed",
    word: down.kind === "stopped" ? down.word : null,
    trouble: down.kind === "stopped" ? null : down.reason,
  };
  return {
    state: withCalls({ ...begun, evidence }, { start: true }),
    // A start that takes its time is no reason not to look.
    effects: [
      { kind: "tell-started" },
      { kind: "start" },
      { kind: "wait", ms: moment.pauseMs(begun.round) },
    ],
  };
}

function onStarted(state: WakeState, moment: Moment): Step {
  if (state.kind !== "starting") return stay(state);
  const { now, afterAcceptMs } = moment;
  const until = afterAcceptMs === null ? state.until : now + afterAcceptMs;
  const accepted: Starting = { ...state, acceptedAt: now, until };
  return moment.isAwaited ? look(accepted) : stay({ ...accepted, isResting: true });
}

function onRefused(
  state: WakeState,
  { reason, isFinal }: WakeEvent & { readonly kind: "refused" },
  moment: Moment,
): Step {
  if (state.kind !== "starting") return stay(state);
  // The start of an earlier wake: this one has not been charged.
  if (state.payer === null && moment.isAwaited) return look(looking(state, moment));
  const told: Starting = {
    ...state,
    evidence: { ...state.evidence, trouble: reason },
    isLast: isFinal || !moment.isAwaited,
  };
  return look(told);
}

function onDue(state: WakeState, moment: Moment): Step {
  if (!moment.isAwaited) {
    return state.kind === "starting" ? stay({ ...state, isResting: true }) : stay(state);
  }
  switch (state.kind) {
    case "looking":
      return look(state);
    case "starting": {
      const isRefused = state.acceptedAt === null && state.payer !== null && !state.calls.start;
      if (!isRefused || state.calls.look) return look(state);
      return {
        state: withCalls(state, { start: true }),
        effects: [{ kind: "start" }, { kind: "wait", ms: moment.pauseMs(state.round) }],
      };
    }
    case "unknown":
    case "up":
    case "failed":
      return stay(state);
  }
}

function onExpired(state: WakeState, moment: Moment): Step {
  if (state.kind === "failed" && moment.now >= state.until) return stay(forgotten(state));
  if (state.kind !== "starting" || moment.now < state.until) return stay(state);
  // Without clients there were no looks: one has to tell how it went.
  return moment.isAwaited
    ? failed(state, whyNot(state), null, moment)
    : look({ ...state, isLast: true });
}

function onDialFailed(
  state: WakeState,
  { doubt, since }: WakeEvent & { readonly kind: "dial-failed" },
  moment: Moment,
): Step {
  if (state.kind !== "up" || !sameAddress(state.address, doubt.address)) return stay(state);
  if (since < state.since) return stay(state);
  if (!moment.isAwaited) return stay(forgotten(state));
  return {
    state: { ...looking(state, moment), doubt },
    effects: [{ kind: "wait", ms: Math.min(retryMs, moment.pauseMs(1)) }],
  };
}

function onMoved(state: WakeState, address: Address, moment: Moment): Step {
  switch (state.kind) {
    case "up":
      if (sameAddress(state.address, address)) return stay(state);
      return moment.isAwaited ? look(looking(state, moment)) : stay(forgotten(state));
    case "looking":
    case "starting":
      return moment.isAwaited ? look(state) : stay(state);
    case "unknown":
    case "failed":
      return stay(state);
  }
}

const stay = (state: WakeState): Step => ({ state, effects: [] });

/** Lets those in who wait. */
const released = (state: WakeState): Step => ({ state, effects: [{ kind: "release" }] });

/** Asks for a look, unless one is under way: its answer serves as well. */
function look(state: WakeState): Step {
  if (state.calls.look) return stay(state);
  return {
    state: withCalls(state, { look: true }),
    effects: [{ kind: "look", ...lookRequest(state) }],
  };
}

function lookRequest(state: WakeState): LookRequest {
  const plain: LookRequest = { how: "first", doubt: null, known: null, triesOwn: false };
  switch (state.kind) {
    case "looking":
      return state.doubt === null ? plain : { ...plain, how: "doubt", doubt: state.doubt };
    case "starting": {
      const isRefused = state.acceptedAt === null && !state.calls.start;
      return { ...plain, how: "ready", triesOwn: isRefused };
    }
    case "up":
      return { ...plain, known: state.address };
    case "unknown":
    case "failed":
      return plain;
  }
}

const withCalls = <State extends WakeState>(state: State, calls: Partial<Calls>): State => ({
  ...state,
  calls: { ...state.calls, ...calls },
});

const forgotten = ({ calls }: WakeState): WakeState => ({ kind: "unknown", calls });

const looking = ({ calls }: WakeState, { now }: Moment): Looking => ({
  kind: "looking",
  calls,
  since: now,
  round: 1,
  doubt: null,
  down: null,
});

const starting = (state: WakeState, payer: Payer | null, moment: Moment): Starting => ({
  kind: "starting",
  calls: state.calls,
  since: moment.now,
  acceptedAt: null,
  payer,
  until: endOfTime(state, moment),
  round: 1,
  lookedAt: moment.now,
  isResting: false,
  isLast: false,
  evidence: nothingSeen,
});

/** The time counts from when a client began to wait, but a start always has half of it. */
const endOfTime = (state: WakeState, { now, timeoutMs }: Moment): number =>
  state.kind === "looking"
    ? Math.max(state.since + timeoutMs, now + timeoutMs / 2)
    : now + timeoutMs;

function up(state: WakeState, address: Address, { now }: Moment): Up {
  const isSame = state.kind === "up" && sameAddress(state.address, address);
  const since = isSame ? state.since : now;
  return { kind: "up", calls: state.calls, address, since, confirmedAt: now };
}

/** A start has come to its end. One that found the server up all along costs nothing. */
function ready(state: Starting, address: Address, by: FoundBy, moment: Moment): Step {
  const { payer, evidence, since } = state;
  const tookMs = moment.now - since;
  const bill: readonly Effect[] =
    payer === null
      ? []
      : [evidence.wasDown ? { kind: "learn", tookMs } : { kind: "refund", payer }];
  return {
    state: up(state, address, moment),
    effects: [
      ...counted(state, "up"),
      ...bill,
      { kind: "tell-up", address, by, tookMs },
      { kind: "release" },
    ],
  };
}

function failed(state: Starting, reason: string, message: string | null, moment: Moment): Step {
  const { now, coolDownMs } = moment;
  return {
    state: {
      kind: "failed",
      calls: state.calls,
      since: now,
      reason,
      message,
      until: now + coolDownMs,
    },
    effects: [
      ...counted(state, "failed"),
      { kind: "tell-failed", reason, tookMs: now - state.since },
      { kind: "fail", reason, message },
    ],
  };
}

/** A start goes on without clients, but the operator is told that none waits. */
const abandoned = (state: WakeState, { now }: Moment): readonly Effect[] =>
  state.kind === "starting" ? [{ kind: "tell-abandoned", tookMs: now - state.since }] : [];

/** Only a start of the router's own counts. */
const counted = ({ payer }: Starting, result: "up" | "failed"): readonly Effect[] =>
  payer === null ? [] : [{ kind: "count", result }];

/** Why it is not ready, for the operator. */
function whyNot({ evidence: { word, trouble } }: Starting): string {
  if (trouble !== null) return trouble;
  if (word === null) return "it was not running in time";
  const hint = word.toLowerCase() === "running" ? '; the router waits for "running"' : "";
  return `its state stayed ${JSON.stringify(word)}${hint}`;
}
