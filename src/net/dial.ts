import { err, ok, type Result } from "../base/result.ts";
import { type Balancer, createBalancer } from "./balance.ts";
import { type Conn, type Endpoint, send } from "./conn.ts";
import {
  aborted,
  type ConnectorDeps,
  createConnector,
  type DialFailure,
  isDown,
} from "./connect.ts";
import { type DialTarget, type EndpointsDeps, endpointsOf } from "./endpoints.ts";
import { firstThatAnswers } from "./failover.ts";

/**
 * Connects to backends. Of several endpoints, be they places or addresses of one name, the balancer
 * says which comes first.
 */
export interface Dialer {
  /** A connection within the dial timeout (name resolution included), or why not. The caller closes it. */
  dial(target: DialTarget, signal: AbortSignal): Promise<Result<Conn, DialFailure>>;
  /**
   * A connection that has been sent the opening. Of several endpoints, each gets its share of the
   * dial timeout to connect and to answer; one that is only slow still wins if no other one
   * answers. The caller closes the connection.
   */
  reach(
    target: DialTarget,
    opening: Opening,
    signal: AbortSignal,
  ): Promise<Result<Reached, DialFailure>>;
  /** True when something accepts connections there. Leaves nothing behind. */
  accepts(target: DialTarget, signal: AbortSignal): Promise<boolean>;
}

/** What a backend is sent first. */
export interface Opening {
  readonly bytes: Uint8Array;
  /** Whether a backend says something to it before more is sent. */
  readonly isAnswered: boolean;
}

/** A connection to a backend. */
export interface Reached {
  readonly conn: Conn;
  /** The endpoint that was chosen; null where there was no choice. */
  readonly chosen: Endpoint | null;
  /** To be called once, when the session is over. */
  readonly leave: () => void;
}

/** What a dialer needs. `timeoutMs` is the whole budget of one dial. */
interface DialerDeps extends ConnectorDeps, EndpointsDeps {
  /** Chooses among several endpoints; by default one that takes the first that answers. */
  readonly balancer?: Balancer;
}

/** A dialer with a connector of its own. */
export function createDialer(deps: DialerDeps): Dialer {
  const { deadlines, timeoutMs } = deps;
  const balancer = deps.balancer ?? createBalancer({ policy: "first" });
  const connector = createConnector(deps);
  const { signal: never } = new AbortController();

  /** Those that were down are probed beside the session, which waits for none of them. */
  function inOrder(endpoints: readonly Endpoint[]): readonly Endpoint[] {
    if (endpoints.length === 1) return endpoints;
    for (const endpoint of balancer.due(endpoints)) void probe(endpoint);
    return balancer.order(endpoints);
  }

  async function probe(endpoint: Endpoint): Promise<void> {
    if (await connector.accepts(endpoint, timeoutMs, never)) balancer.answered(endpoint);
  }

  async function dial(target: DialTarget, signal: AbortSignal): Promise<Result<Conn, DialFailure>> {
    const until = deadlines.now() + timeoutMs;
    const found = await endpointsOf(target, deps, signal);
    return found.ok ? connectInTurn(inOrder(found.value), until, signal) : found;
  }

  async function connectInTurn(
    endpoints: readonly Endpoint[],
    until: number,
    signal: AbortSignal,
  ): Promise<Result<Conn, DialFailure>> {
    let failure = addressless;
    for (const [index, endpoint] of endpoints.entries()) {
      if (signal.aborted) return err(aborted);
      // The budget is shared out among the endpoints that are left, so that a dead first one does not eat it.
      const share = (until - deadlines.now()) / (endpoints.length - index);
      if (share <= 0) break;
      const dialled = await connector.connect(endpoint, share, signal);
      if (dialled.ok) {
        balancer.answered(endpoint);
        return dialled;
      }
      failure = dialled.error;
      if (endpoints.length > 1 && isDown(failure)) balancer.failed(endpoint);
    }
    return err(failure);
  }

  async function reach(
    target: DialTarget,
    opening: Opening,
    signal: AbortSignal,
  ): Promise<Result<Reached, DialFailure>> {
    const until = deadlines.now() + timeoutMs;
    const found = await endpointsOf(target, deps, signal);
    if (!found.ok) return found;
    const endpoints = inOrder(found.value);
    const isChoice = endpoints.length > 1;
    if (isChoice && opening.isAnswered) {
      const asking = { endpoints, opening: opening.bytes, until };
      return firstThatAnswers(asking, { connector, balancer, deadlines }, signal);
    }
    const dialled = await connectInTurn(endpoints, until, signal);
    if (!dialled.ok) return dialled;
    const conn = dialled.value;
    send(conn, opening.bytes);
    return ok({ conn, chosen: isChoice ? conn.remote : null, leave: nothing });
  }

  async function accepts(target: DialTarget, signal: AbortSignal): Promise<boolean> {
    const until = deadlines.now() + timeoutMs;
    const found = await endpointsOf(target, deps, signal);
    if (!found.ok) return false;
    const endpoints = balancer.order(found.value);
    for (const [index, endpoint] of endpoints.entries()) {
      const share = (until - deadlines.now()) / (endpoints.length - index);
      if (await connector.accepts(endpoint, share, signal)) return true;
    }
    return false;
  }

  return { dial, reach, accepts };
}

const nothing = (): void => undefined;

const addressless: DialFailure = { kind: "unresolved", message: "has no address" };
