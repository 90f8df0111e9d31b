import type { Deadlines } from "../../../src/base/deadlines.ts";
import type { Conn, Relay, RelayBytes, RelayEnd } from "../../../src/net/conn.ts";
import { createCallbackRelay, relay, relayBriefly } from "../../../src/net/relay/callbacks.ts";
import {
  type CreateLoginRelay,
  cutRelay,
  type HandedOver,
  type RelayThread,
  relayedBytes,
} from "../../../src/net/relay/relay.ts";
import { openThreads } from "../../../src/net/relay/threads.ts";

/** Joins the two, and resolves with how it went when both are closed. */
export const relayed = (client: Conn, backend: Conn, deadlines: Deadlines): Promise<RelayEnd> =>
  new Promise((over) => relay(client, backend, { deadlines, over }));

/** The same for a moment only. */
export const relayedBriefly = (
  client: Conn,
  backend: Conn,
  deadlines: Deadlines,
): Promise<RelayEnd> => new Promise((over) => relayBriefly(client, backend, { deadlines, over }));

/** The implementations of `LoginRelay` that this system has. */
export const planes: readonly Plane[] =
  process.platform === "linux" ? ["callbacks", "thread"] : ["callbacks"];
export type Plane = "callbacks" | "thread";

/** The script of a relay thread. */
export const workerScript = new URL("../../../src/net/relay/worker.ts", import.meta.url);

/** A session of a test. */
export interface TestSession {
  /** Resolves when it is over. */
  readonly ended: Promise<RelayEnd>;
  isOver(): boolean;
  /** Whether a relay thread has it. */
  isHandedOver(): boolean;
  /** The thread that has it; null where none has. */
  thread(): RelayThread | null;
  bytes(): RelayBytes;
  cut(): void;
}

/** A relay of logins whose sessions a test can look at. Dispose stops it. */
export interface TestRelay extends AsyncDisposable {
  /**
   * Joins the two. On the thread's plane it resolves when the session is handed over, unless something
   * waits to be sent.
   */
  join(client: Conn, backend: Conn): Promise<TestSession>;
  /** The same, without waiting for the hand-over. */
  joinAtOnce(client: Conn, backend: Conn): TestSession;
}

interface TestRelayOptions {
  readonly deadlines: Deadlines;
  readonly fault: (error: Error) => void;
  readonly threads?: number;
  readonly script?: URL;
  /** Told of each session that a relay thread is given. */
  readonly onHandOver?: () => void;
}

interface Known {
  relayed: Relay | HandedOver | null;
  readonly over: PromiseWithResolvers<RelayEnd>;
  end: RelayEnd | null;
}

/** The way to relay logins on that plane. */
export function relayOf(plane: Plane, options: TestRelayOptions): CreateLoginRelay {
  if (plane === "callbacks") return createCallbackRelay(options.deadlines);
  const { threads = 1, script = workerScript } = options;
  const opened = openThreads({ ...options, threads, script });
  if (!opened.ok) throw new Error(opened.error);
  return (owner) =>
    opened.value({
      ...owner,
      handedOver(session, relayed) {
        options.onHandOver?.();
        return owner.handedOver(session, relayed);
      },
    });
}

/** Starts the relay of that plane. */
export function startRelay(plane: Plane, options: TestRelayOptions): TestRelay {
  const over = (known: Known, end: RelayEnd): void => {
    known.end = end;
    known.over.resolve(end);
  };
  const logins = relayOf(
    plane,
    options,
  )<Known, Known>({
    over,
    left: over,
    handedOver(known, relayed) {
      known.relayed = relayed;
      return known;
    },
  });

  function begin(client: Conn, backend: Conn): { session: TestSession; joined: Relay } {
    const known: Known = { relayed: null, over: Promise.withResolvers(), end: null };
    const joined = logins.join(client, backend, known);
    known.relayed ??= joined;
    const session: TestSession = {
      ended: known.over.promise,
      isOver: () => known.end !== null,
      thread: () => (known.relayed?.kind === "thread" ? known.relayed.thread : null),
      isHandedOver: () => known.relayed?.kind === "thread",
      bytes: () => known.end ?? relayedBytes(known.relayed ?? joined),
      cut: () => cutRelay(known.relayed ?? joined),
    };
    return { session, joined };
  }

  async function join(client: Conn, backend: Conn): Promise<TestSession> {
    const { session, joined } = begin(client, backend);
    const mayBeHandedOver = (): boolean =>
      joined.handOver !== null &&
      joined.endedBy === null &&
      client.unsent === null &&
      backend.unsent === null;
    while (!session.isHandedOver() && mayBeHandedOver() && !joined.handOver?.(joined)) {
      await Bun.sleep(2);
    }
    return session;
  }

  return {
    join,
    joinAtOnce: (client, backend) => begin(client, backend).session,
    [Symbol.asyncDispose]: () => logins.stop(),
  };
}
