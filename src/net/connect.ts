import { connect } from "node:net";
import type { Socket } from "bun";
import { onAbort } from "../base/abort.ts";
import type { Deadlines } from "../base/deadlines.ts";
import { err, ok, type Result } from "../base/result.ts";
import type { Conn, Endpoint } from "./conn.ts";
import { createGate, type Gate } from "./gate.ts";
import { socketHandlers } from "./handlers.ts";

/**
 * Why there is no connection. `message` is one readable phrase; `busy` means that too many dials to
 * it are pending already, and `forbidden` that the router does not connect to where the name leads.
 */
export interface DialFailure {
  readonly kind: "unresolved" | "forbidden" | "refused" | "timeout" | "busy" | "aborted";
  readonly message: string;
}

/** True for a failure that is the address's own. */
export const isDown = ({ kind }: DialFailure): boolean => kind === "refused" || kind === "timeout";

/** The rules for where the router may connect to. */
interface EgressCheck {
  /**
   * Why this IP literal and port may not be dialled, as a phrase to follow the address; null when
   * they may.
   */
  refusal(ip: string, port: number): string | null;
}

/** Connects to IP literals. */
export interface Connector {
  /** A connection within `ms`, or why not. The caller closes it. */
  connect(endpoint: Endpoint, ms: number, signal: AbortSignal): Promise<Result<Conn, DialFailure>>;
  /** True when it accepts a connection within `ms`. Leaves nothing behind. */
  accepts(endpoint: Endpoint, ms: number, signal: AbortSignal): Promise<boolean>;
}

/** What a connector needs. */
export interface ConnectorDeps {
  readonly deadlines: Deadlines;
  /** Where it may connect to. */
  readonly egress: EgressCheck;
  /** A socket handler threw; the connection is cut already. */
  fault(error: Error): void;
}

/** How many connection attempts to one address may be under way at once, abandoned ones included. */
const pendingLimit = 32;
/**
 * How many abandoned attempts give their place back, so that there are some left to find out when
 * the address answers again.
 */
const parkingLimit = 8;
/**
 * How many abandoned attempts there may be in all before every dial, wherever to, asks first. Each
 * holds a file descriptor.
 */
const abandonedLimit = 512;

/**
 * How many addresses with nothing under way are kept for the next dial, which is nearly always to
 * one of them.
 */
const quietLimit = 1_024;

/** The attempts to one address that the kernel has not decided yet. */
interface Line {
  readonly remote: Endpoint;
  readonly gate: Gate;
  /** Given up by us, but Bun cannot take a connect back: the kernel still tries. */
  abandoned: number;
  /** Those of them that hold no place of the gate any more. */
  parked: number;
}

/**
 * A connector that only ever hands IP literals to `Bun.connect`, which resolves names on the pool
 * that file reads need too and connects to every address of a name at once.
 *
 * `Bun.connect` has neither timeout nor abort. A dial that takes too long is abandoned and cut when
 * it opens after all; as long as an address has abandoned dials, new ones first ask by an abortable
 * `node:net` connect whether anything answers.
 */
export function createConnector(deps: ConnectorDeps): Connector {
  const { deadlines, egress } = deps;
  const lines = new Map<string, Line>();
  const handlers = socketHandlers({ side: "backend", fault: deps.fault });
  let abandonedInAll = 0;

  function lineOf(ip: string, port: number): Line {
    const key = `${ip} ${port}`;
    const known = lines.get(key);
    if (known !== undefined) return known;
    if (lines.size >= quietLimit) forgetQuiet();
    const gate = createGate(pendingLimit - parkingLimit, deadlines);
    const line: Line = { remote: { ip, port }, gate, abandoned: 0, parked: 0 };
    lines.set(key, line);
    return line;
  }

  function forgetQuiet(): void {
    for (const [key, { gate, parked }] of lines) {
      if (gate.isEmpty() && parked === 0) lines.delete(key);
    }
  }

  /** True while some attempts to it, or very many to others, never came to anything. */
  const isDoubtful = (line: Line): boolean =>
    line.abandoned > 0 || abandonedInAll >= abandonedLimit;

  function connectWithin(
    { ip, port }: Endpoint,
    ms: number,
    signal: AbortSignal,
  ): Promise<Result<Conn, DialFailure>> {
    if (signal.aborted) return Promise.resolve(err(aborted));
    const reason = egress.refusal(ip, port);
    if (reason !== null) {
      return Promise.resolve(err({ kind: "forbidden", message: `${ip} ${reason}` }));
    }
    const line = lineOf(ip, port);
    if (isDoubtful(line) || !line.gate.tryEnter()) return connectPatiently(line, ms, signal);
    return connectTo(line, ms, signal);
  }

  /** Waits for a place, and asks first whether anything answers at an address that did not answer before. */
  async function connectPatiently(
    line: Line,
    ms: number,
    signal: AbortSignal,
  ): Promise<Result<Conn, DialFailure>> {
    const { ip, port } = line.remote;
    const until = deadlines.now() + ms;
    if (!(await line.gate.enter(ms, signal))) return err(signal.aborted ? aborted : busy);

    const answered =
      !isDoubtful(line) || (await answers(ip, port, until - deadlines.now(), signal));
    const left = until - deadlines.now();
    if (signal.aborted || !answered || left <= 0) {
      line.gate.leave();
      return err(signal.aborted ? aborted : silent);
    }
    return connectTo(line, left, signal);
  }

  /**
   * One `Bun.connect` under a deadline. Its place is held until the kernel has decided, or a
   * parking place is free for it.
   */
  function connectTo(
    line: Line,
    ms: number,
    signal: AbortSignal,
  ): Promise<Result<Conn, DialFailure>> {
    return new Promise((resolve) => {
      let waiting = true;
      let parked = false;
      const settle = (result: Result<Conn, DialFailure>): void => {
        waiting = false;
        deadline.cancel();
        release();
        resolve(result);
      };
      const abandon = (): void => {
        line.abandoned += 1;
        abandonedInAll += 1;
        if (line.parked < parkingLimit) {
          parked = true;
          line.parked += 1;
          line.gate.leave();
        }
        settle(err(signal.aborted ? aborted : silent));
      };
      const decided = (): void => {
        if (!waiting) {
          line.abandoned -= 1;
          abandonedInAll -= 1;
        }
        if (parked) line.parked -= 1;
        else line.gate.leave();
      };
      const deadline = deadlines.after(ms, abandon);
      const release = onAbort(signal, abandon);

      const opened = (socket: Socket<Conn>): void => {
        decided();
        const conn: Conn | undefined = socket.data;
        if (!waiting) {
          socket.terminate();
        } else if (conn === undefined || conn.closed) {
          settle(err(closedAtOnce));
        } else {
          conn.remote = line.remote;
          settle(ok(conn));
        }
      };
      const failed = (): void => {
        decided();
        // Bun reports every failure as ECONNREFUSED, so the code tells nothing more.
        if (waiting) settle(err(refused));
      };
      const { ip: hostname, port } = line.remote;
      Bun.connect<Conn>({ hostname, port, allowHalfOpen: true, socket: handlers }).then(
        opened,
        failed,
      );
    });
  }

  /** A connect that can be taken back, only to see whether one is accepted. */
  function answers(host: string, port: number, ms: number, signal: AbortSignal): Promise<boolean> {
    if (signal.aborted || ms <= 0) return Promise.resolve(false);
    return new Promise((resolve) => {
      const socket = connect({ host, port });
      const settle = (accepted: boolean): void => {
        deadline.cancel();
        release();
        socket.destroy();
        resolve(accepted);
      };
      const giveUp = (): void => settle(false);
      const deadline = deadlines.after(ms, giveUp);
      const release = onAbort(signal, giveUp);
      socket.once("connect", () => settle(true));
      socket.on("error", giveUp);
    });
  }

  return {
    connect: connectWithin,
    accepts: ({ ip, port }, ms, signal) =>
      egress.refusal(ip, port) === null ? answers(ip, port, ms, signal) : Promise.resolve(false),
  };
}

/** The caller has given up. */
export const aborted: DialFailure = { kind: "aborted", message: "no longer wanted" };
const silent: DialFailure = { kind: "timeout", message: "does not answer" };
const refused: DialFailure = { kind: "refused", message: "refuses connections" };
const closedAtOnce: DialFailure = { kind: "refused", message: "closed at once" };
const busy: DialFailure = {
  kind: "busy",
  message: `${pendingLimit} connects to it are pending already`,
};
