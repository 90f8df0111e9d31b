import type { RelayEnd } from "../net/conn.ts";

/** Why the router answered a client itself instead of a backend. */
export type Answer =
  /** A ping of a backend that sleeps, or of one that is being started. */
  | "asleep"
  | "waking"
  /** A ping of a running backend, answered with what it last said to another client. */
  | "running"
  /** The backend takes no connection. */
  | "unreachable"
  /** The backend was to be started and did not come up in time. */
  | "wake-failed"
  /** The backend sleeps, and the player may not start it. */
  | "wake-denied"
  /** The backend sleeps and is not started now: too many have been, or it failed to come up before. */
  | "wake-refused"
  /** The backend sleeps, and the client did not prove that it is a game. */
  | "unproven"
  /** The client no longer answered while it waited. */
  | "mute"
  /** The player's name is longer than any backend's limit. */
  | "bad-name"
  /** Its address has used up its joins. */
  | "throttled"
  /** The router has as many sessions, or as many waiting players, as it may. */
  | "full"
  /** The router is stopping. */
  | "stopping"
  /** A client from before Minecraft 1.7, which sends no hostname when it joins. */
  | "too-old"
  /** No route for the hostname, and the operator has words for that. */
  | "unknown-host";

/** Why a client was closed without a word. */
export type Dropped =
  /** Nothing but a TCP connection: a health check or a port scan. */
  | "silent"
  /** Its address may not connect. */
  | "filtered"
  /** It began like a PROXY protocol header, and was malformed. */
  | "bad-proxy-header"
  /** Its address has used up its pings, or its connections where a proxy told the address. */
  | "throttled"
  /** Not Minecraft, or not within its limits. */
  | "not-minecraft"
  /** A whole packet that is no handshake. */
  | "other-packet"
  /** Its opening was not complete in time. */
  | "too-slow"
  /** The client went away before it was served. */
  | "left"
  /** No route for the hostname. */
  | "unknown-host"
  /** A ping that nothing is configured to answer. */
  | "no-answer"
  /** It sent something else than the answer that it owed while it waited. */
  | "out-of-turn"
  /** An error in the router's own code. */
  | "fault";

/** How a session ended. Log line, metric label and webhook all derive from it. */
export type Outcome =
  | { readonly kind: "relayed"; readonly end: RelayEnd }
  | { readonly kind: "answered"; readonly answer: Answer; readonly reason: string | null }
  | { readonly kind: "dropped"; readonly why: Dropped; readonly reason: string | null };

/** A session that ended with an answer of the router's own. */
export const answered = (answer: Answer, reason: string | null = null): Outcome => ({
  kind: "answered",
  answer,
  reason,
});

/** A session that ended without a word. */
export const dropped = (why: Dropped, reason: string | null = null): Outcome => ({
  kind: "dropped",
  why,
  reason,
});
