import { connect } from "node:net";
import type { Socket } from "bun";
import { err, ok, type Result } from "../result.ts";
import { type Conn, createConn } from "./conn.ts";
import type { Deadlines } from "./deadlines.ts";
import { createGate, type Gate } from "./gate.ts";
import { socketHandlers } from "./handlers.ts";
import type { Resolver } from "./resolve.ts";

/** Why there is no connection. `message` is one readable phrase; `busy` means that too many dials to it are pending already. */
export interface DialFailure {
  readonly kind: "unresolved" | "refused" | "timeout" | "busy" | "aborted";
  readonly message: string;
}

/** Where to dial: a name or an IP literal, and a port. */
export interface DialTarget {
  readonly host: string;
  readonly port: number;
}

/** Connects to backends. */
export interface Dialer {
  /** A connection within the dial timeout (name resolution included), or why not. Whoever gets it closes it. */
  dial(target: DialTarget, signal: AbortSignal): Promise<Result<Conn, DialFailure>>;
  /** True when something accepts connections there. Leaves nothing behind. */
  accepts(target: DialTarget, signal: AbortSignal): Promise<boolean>;
}

/** What a dialer needs. */
export interface DialerDeps {
  readonly resolver: Resolver;
  readonly deadlines: Deadlines;
  /** The whole budget of one dial, ms. */
  readonly timeoutMs: number;
  /** A socket handler threw; the connection is cut already. */
  fault(error: Error): void;
}

/** How many connection attempts to one address may be under way at once. */
const pendingLimit = 32;

/** The attempts to one address that the kernel has not decided yet. */
interface Line {
  readonly gate: Gate;
  /** Given up by us, but Bun cannot take a connect back: the kernel still tries. */
  abandoned: number;
}

/**
 * A dialer that only ever hands IP literals to `Bun.connect`, which resolves names on the pool that file reads need too and
 * connects to every address of a name at once.
 *
 * `Bun.connect` has neither timeout nor abort. A dial that takes too long is abandoned and cut when it opens after all; as
 * long as an address has abandoned dials, new ones first ask by an abortable `node:net` connect whether anything answers.
 */
export function createDialer(deps: DialerDeps): Dialer {
  const { deadlines } = deps;
  const lines = new Map<string, Line>();
  const handlers = socketHandlers({ opened: createConn, fault: deps.fault });

  function lineOf(key: string): Line {
    const known = lines.get(key);
    if (known !== undefined) return known;
    const line: Line = { gate: createGate(pendingLimit, deadlines), abandoned: 0 };
    lines.set(key, line);
    return line;
  }

  function leave(key: string, line: Line): void {
    line.gate.leave();
    if (line.gate.isEmpty()) lines.delete(key);
  }

  async function dialAddress(
    ip: string,
    port: number,
    ms: number,
    signal: AbortSignal,
  ): Promise<Result<Conn, DialFailure>> {
    const until = deadlines.now() + ms;
    const key = `${ip} ${port}`;
    const line = lineOf(key);
    if (!(await line.gate.enter(ms, signal))) {
      if (signal.aborted) return err(aborted);
      return err({ kind: "busy", message: `${pendingLimit} connects to it are pending already` });
    }
    const left = until - deadlines.now();
    if (line.abandoned > 0 && !(await answers(ip, port, left, signal))) {
      leave(key, line);
      if (signal.aborted) return err(aborted);
      return err({ kind: "timeout", message: "does not answer" });
    }
    return connectTo(ip, port, until - deadlines.now(), signal, line, () => leave(key, line));
  }

  /** One `Bun.connect` under a deadline. The place in the line is held until the kernel has decided. */
  function connectTo(
    hostname: string,
    port: number,
    ms: number,
    signal: AbortSignal,
    line: Line,
    decided: () => void,
  ): Promise<Result<Conn, DialFailure>> {
    return new Promise((resolve) => {
      let waiting = true;
      const settle = (result: Result<Conn, DialFailure>): void => {
        waiting = false;
        deadline.cancel();
        signal.removeEventListener("abort", onAbort);
        resolve(result);
      };
      const abandon = (failure: DialFailure): void => {
        line.abandoned += 1;
        settle(err(failure));
      };
      const onAbort = (): void => abandon(aborted);
      const deadline = deadlines.after(ms, () =>
        abandon({ kind: "timeout", message: "no answer in time" }),
      );
      signal.addEventListener("abort", onAbort, { once: true });

      const opened = (socket: Socket<Conn>): void => {
        decided();
        const conn: Conn | undefined = socket.data;
        if (!waiting) {
          line.abandoned -= 1;
          socket.terminate();
        } else if (conn === undefined) {
          settle(err({ kind: "refused", message: "closed at once" }));
        } else {
          settle(ok(conn));
        }
      };
      const failed = (): void => {
        decided();
        // Bun reports every failure as ECONNREFUSED, so the code tells nothing more.
        if (!waiting) line.abandoned -= 1;
        else settle(err({ kind: "refused", message: "refuses connections" }));
      };
      Bun.connect<Conn>({ hostname, port, allowHalfOpen: true, socket: handlers }).then(
        opened,
        failed,
      );
    });
  }

  async function dial(target: DialTarget, signal: AbortSignal): Promise<Result<Conn, DialFailure>> {
    const until = deadlines.now() + deps.timeoutMs;
    const resolved = await deps.resolver.resolve(target.host, signal);
    if (!resolved.ok) return err({ kind: "unresolved", message: resolved.error.message });
    let failure: DialFailure = { kind: "unresolved", message: "has no address" };
    for (const [index, ip] of resolved.value.entries()) {
      if (signal.aborted) return err(aborted);
      // The budget is shared out among the addresses that are left, so that a dead first one does not eat it.
      const share = (until - deadlines.now()) / (resolved.value.length - index);
      const dialled = await dialAddress(ip, target.port, share, signal);
      if (dialled.ok) return dialled;
      failure = dialled.error;
    }
    return err(failure);
  }

  async function accepts(target: DialTarget, signal: AbortSignal): Promise<boolean> {
    const resolved = await deps.resolver.resolve(target.host, signal);
    if (!resolved.ok) return false;
    for (const ip of resolved.value) {
      if (await answers(ip, target.port, deps.timeoutMs, signal)) return true;
    }
    return false;
  }

  /** A connect that can be taken back, only to see whether one is accepted. */
  function answers(host: string, port: number, ms: number, signal: AbortSignal): Promise<boolean> {
    if (signal.aborted || ms <= 0) return Promise.resolve(false);
    return new Promise((resolve) => {
      const socket = connect({ host, port });
      const settle = (accepted: boolean): void => {
        deadline.cancel();
        signal.removeEventListener("abort", giveUp);
        socket.destroy();
        resolve(accepted);
      };
      const giveUp = (): void => settle(false);
      const deadline = deadlines.after(ms, giveUp);
      signal.addEventListener("abort", giveUp, { once: true });
      socket.once("connect", () => settle(true));
      socket.on("error", giveUp);
    });
  }

  return { dial, accepts };
}

const aborted: DialFailure = { kind: "aborted", message: "no longer wanted" };
