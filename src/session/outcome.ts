import type { RelayEnd } from "../net/conn.ts";

/** Why the router spoke to a player itself instead of a backend. */
export type Answer =
  /** A ping of a server that sleeps, or of one that starts. */
  | "asleep"
  | "waking"
  /** A ping of a running server, answered with what the server said to another. */
  | "running"
  /** A known server that takes no connection. */
  | "unreachable"
  /** It was to be started and did not come up in time. */
  | "wake-failed"
  /** It sleeps, and the player may not start it. */
  | "wake-denied"
  /** It sleeps, and is not started now: too many have been, or it failed to come up before. */
  | "wake-refused"
  /** It sleeps, and the client did not prove that it is a game. */
  | "unproven"
  /** The player's client no longer answered while it waited. */
  | "mute"
  /** More joins from its address than one may make. */
  | "throttled"
  /** As many sessions as the router may hold, or as many waiting players. */
  | "full"
  /** The router is stopping. */
  | "stopping"
  /** A client from before Minecraft 1.7, which names no server when it joins. */
  | "too-old";

/** Why a connection was closed without a word. */
export type Dropped =
  /** Nothing but a TCP connection: a health check or a port scan. */
  | "silent"
  /** Its address may not connect. */
  | "filtered"
  /** It began like a PROXY protocol header, and was none. */
  | "bad-proxy-header"
  /** More pings from its address than one may make, or more connections where a proxy told the address. */
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
  /** Spoke out of turn while it waited. */
  | "out-of-turn"
  /** An unexpected error of ours. */
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
