import type { SessionEvent, SessionFacts } from "../../../src/session/event.ts";
import type { Outcome } from "../../../src/session/outcome.ts";

/** What a session is about when the test does not care: a login by name of a route of its own. */
export function facts(given: Partial<SessionFacts> = {}): SessionFacts {
  return {
    id: 1,
    client: { ip: "192.0.2.1", port: 50_000 },
    intent: "login",
    protocol: 765,
    rawHost: "a.example.com",
    hostname: "a.example.com",
    route: "a.example.com",
    row: "a",
    backend: "10.0.0.5:25565",
    player: { name: "Steve", uuid: "069a79f4-44e9-4726-a5be-fca90e38aaf5" },
    waitedMs: null,
    ...given,
  };
}

/** A client has connected. */
export const accepted = (): SessionEvent => ({
  kind: "session-accepted",
  client: { ip: "192.0.2.1", port: 50_000 },
});

/** A player waits. */
export const holding = (given: Partial<SessionFacts> = {}): SessionEvent => ({
  kind: "session-holding",
  session: facts(given),
});

/** Client and backend are joined. */
export const relaying = (given: Partial<SessionFacts> = {}): SessionEvent => ({
  kind: "session-relaying",
  session: facts(given),
});

/** It is over; after a relay of 100 bytes one way and 1,000 the other unless told otherwise. */
export const ended = (
  given: Partial<SessionFacts> = {},
  outcome: Outcome = relayed(),
): SessionEvent => ({ kind: "session-ended", session: facts(given), outcome, durationMs: 1 });

/** A relay that ended by the client, in that way. */
export const relayed = (ending: "fin" | "reset" | "aborted" = "fin"): Outcome => ({
  kind: "relayed",
  end: { toBackend: 100, toClient: 1_000, endedBy: "client", ending },
});
