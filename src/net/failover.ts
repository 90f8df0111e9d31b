import { onAbort } from "../base/abort.ts";
import type { Deadlines } from "../base/deadlines.ts";
import { err, ok, type Result } from "../base/result.ts";
import type { Balancer } from "./balance.ts";
import { abort, type Conn, type Endpoint, peek, send, unwatch, watch } from "./conn.ts";
import { aborted, type Connector, type DialFailure, isDown } from "./connect.ts";

/** Endpoints of one backend, and what each is sent. */
interface Answering {
  readonly endpoints: readonly Endpoint[];
  /** A backend answers it with at least one byte. */
  readonly opening: Uint8Array;
  /** When the last endpoint must have been asked, on the deadlines' clock, ms. */
  readonly until: number;
}

/** What asking endpoints needs. */
interface AnsweringDeps {
  readonly connector: Connector;
  readonly balancer: Balancer;
  readonly deadlines: Deadlines;
}

/** A connection that has been sent the opening and has said nothing yet. */
interface Asked {
  readonly endpoint: Endpoint;
  readonly conn: Conn;
  readonly leave: () => void;
}

/** The one that answered. `leave` ends its part in the balance. */
interface Answered {
  readonly conn: Conn;
  readonly chosen: Endpoint;
  readonly leave: () => void;
}

/**
 * Asks the endpoints one after the other until one answers; the others are cut. A stopped process
 * still takes connections, so a connection alone proves nothing. An endpoint that is silent for its
 * share of the time stays asked while the next one is: the first byte of any of them wins. After
 * that, those that could not be connected to are tried again for as long as one is silent, or as
 * too many other sessions connect to them.
 */
export async function firstThatAnswers(
  { endpoints, opening, until }: Answering,
  { connector, balancer, deadlines }: AnsweringDeps,
  signal: AbortSignal,
): Promise<Result<Answered, DialFailure>> {
  const asked: Asked[] = [];
  const unconnected = new Set<Endpoint>();
  const shareMs = (until - deadlines.now()) / endpoints.length;
  let failure: DialFailure = { kind: "timeout", message: "does not answer" };

  /**
   * Connects to one and sends it the opening. Gives the one that answers within the time, which may
   * be another.
   */
  async function ask(endpoint: Endpoint, ms: number): Promise<Asked | null> {
    const end = deadlines.now() + ms;
    const leave = balancer.occupy(endpoint);
    const dialled = await connector.connect(endpoint, ms, signal);
    if (!dialled.ok) {
      leave();
      failure = dialled.error;
      if (isDown(failure)) balancer.failed(endpoint);
      if (failure.kind === "busy" || failure.kind === "timeout") unconnected.add(endpoint);
      else unconnected.delete(endpoint);
      return asked.find(hasSpoken) ?? null;
    }
    unconnected.delete(endpoint);
    send(dialled.value, opening);
    const newest: Asked = { endpoint, conn: dialled.value, leave };
    asked.push(newest);
    const first = await firstByte(asked, newest, end - deadlines.now(), deadlines, signal);
    if (first !== null || signal.aborted) return first;
    if (isOver(newest)) failure = closedSilently;
    balancer.failed(endpoint);
    return null;
  }

  function waitOn(): Promise<Asked | null> | null {
    const [again] = balancer.order([...unconnected]);
    const open = asked.find((each) => !isOver(each));
    if (open === undefined && failure.kind !== "busy") return null;
    if (again !== undefined) return ask(again, shareMs);
    return open === undefined
      ? null
      : firstByte(asked, open, Number.POSITIVE_INFINITY, deadlines, signal);
  }

  function finish(winner: Asked): Result<Answered, DialFailure> {
    for (const other of asked) if (other !== winner) dismiss(other);
    balancer.answered(winner.endpoint);
    return ok({ conn: winner.conn, chosen: winner.endpoint, leave: winner.leave });
  }

  for (const [index, endpoint] of endpoints.entries()) {
    const winner = await ask(endpoint, (until - deadlines.now()) / (endpoints.length - index));
    if (winner !== null) return finish(winner);
    if (signal.aborted) break;
  }
  while (!signal.aborted) {
    const waiting = waitOn();
    if (waiting === null) break;
    const winner = await waiting;
    if (winner !== null) return finish(winner);
  }
  for (const each of asked) dismiss(each);
  return err(signal.aborted ? aborted : failure);
}

/** Cuts one that was asked in vain. */
function dismiss({ conn, leave }: Asked): void {
  abort(conn);
  leave();
}

const closedSilently: DialFailure = { kind: "refused", message: "closes without an answer" };

const hasSpoken = ({ conn }: Asked): boolean => peek(conn).length > 0;

const isOver = ({ conn }: Asked): boolean => conn.closed || conn.ending !== null;

/**
 * The one of which a byte is there first; null after `ms`, when `newest` has ended, or when the
 * signal aborts.
 */
function firstByte(
  asked: readonly Asked[],
  newest: Asked,
  ms: number,
  deadlines: Deadlines,
  signal: AbortSignal,
): Promise<Asked | null> {
  const early = asked.find(hasSpoken);
  if (early !== undefined) return Promise.resolve(early);
  if (isOver(newest) || ms <= 0 || signal.aborted) return Promise.resolve(null);
  return new Promise((resolve) => {
    const finish = (winner: Asked | null): void => {
      for (const { conn } of asked) unwatch(conn);
      deadline?.cancel();
      release();
      resolve(winner);
    };
    const deadline =
      ms === Number.POSITIVE_INFINITY ? null : deadlines.after(ms, () => finish(null));
    const release = onAbort(signal, () => finish(null));
    for (const each of asked) {
      watch(each.conn, (arrival) => {
        if (arrival === "data") finish(each);
        else if (each === newest) finish(null);
      });
    }
  });
}
