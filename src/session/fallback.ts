import type { Hostname } from "../routing/hostname.ts";
import type { Route } from "../routing/route.ts";
import type { RouteTable } from "../routing/table.ts";
import { type BackendDeps, type Connected, connect, visitTo, withProxyHeader } from "./backend.ts";
import { type Hold, releaseHold } from "./hold.ts";
import type { Answer } from "./outcome.ts";
import type { Session } from "./session.ts";

/** What bringing logins to another backend needs. */
export interface FallbackDeps extends BackendDeps {
  readonly table: Pick<RouteTable, "resolve">;
  /**
   * The hostname whose route takes logins of backends that are down, where their own route names
   * none; null: no route does.
   */
  readonly fallback: Hostname | null;
}

/** A login that its own backend does not take. */
export interface RefusedLogin {
  readonly session: Session;
  readonly route: Route;
  /** What the client said, without a PROXY protocol header. */
  readonly opening: Uint8Array;
  /** Where it waited before; null where it did not. */
  readonly hold: Hold | null;
}

/**
 * True for refusals because the backend is down. The router's own limits, and what a backend says
 * itself, are none.
 */
export function isDown(answer: Answer): boolean {
  switch (answer) {
    case "unreachable":
    case "wake-failed":
    case "wake-denied":
    case "wake-refused":
      return true;
    case "asleep":
    case "waking":
    case "running":
    case "unproven":
    case "mute":
    case "bad-name":
    case "throttled":
    case "full":
    case "stopping":
    case "too-old":
    case "unknown-host":
      return false;
  }
}

/**
 * Brings the login to the backend of the fallback's route, if there is one and it runs: nothing is
 * started for it, and a fallback's own fallback is not asked. Null: the login is refused as it was.
 */
export async function fallBack(
  { session, route, opening, hold }: RefusedLogin,
  deps: FallbackDeps,
): Promise<Connected | null> {
  const hostname = route.fallback ?? deps.fallback;
  const other = hostname === null ? null : (deps.table.resolve(hostname)?.route ?? null);
  if (other === null || (other.source === route.source && other.id === route.id)) return null;
  // An answer that the client still owes would reach the other backend.
  if (hold !== null && !(await releaseHold(hold))) return null;

  const { target, address } = { target: other.wake, address: other.address };
  const at =
    target === null || deps.wakes === null ? address : deps.wakes.addressOf({ target, address });
  const { backend } = session.facts;
  const bytes = withProxyHeader(session, other, opening, deps);
  const connected = await connect(session, at, { bytes, isAnswered: true }, deps);
  if (connected.kind !== "reached") {
    session.facts.backend = backend;
    return connected.kind === "left" ? connected : null;
  }
  session.visit?.end();
  session.visit = visitTo(other, true, deps);
  return connected;
}
