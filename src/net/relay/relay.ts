import { abort, type Conn, type Relay, type RelayBytes, type RelayEnd } from "../conn.ts";

/**
 * Relays logins. There are two implementations: one leaves them in the socket callbacks, for every system,
 * and one hands them to relay threads, for Linux. `Session` is what the owner knows a session by until it
 * is handed over.
 */
export interface LoginRelay<Session> {
  /**
   * Takes both connections over until both are closed, with the promises of `relay` in callbacks.ts. The
   * owner is told the end once, perhaps before this returns.
   */
  join(client: Conn, backend: Conn, session: Session): Relay;
  /** Ends what the relay needs of its own. Sessions are to be over by then. */
  stop(): Promise<void>;
}

/** The owner of relayed sessions, who is told what becomes of them. */
export interface RelayOwner<Session, Player> {
  /** Both sides of a session that was not handed over are closed. */
  over(session: Session, end: RelayEnd): void;
  /**
   * A relay thread has the session now. Neither Conn is used again and no close event will come, so the
   * owner drops both. What it returns is all that is kept of the session, and given back in `left`.
   */
  handedOver(session: Session, relayed: HandedOver): Player;
  /** Both sides of a session that was handed over are closed. */
  left(player: Player, end: RelayEnd): void;
}

/** Makes a relay for that owner. */
export type CreateLoginRelay = <Session, Player>(
  owner: RelayOwner<Session, Player>,
) => LoginRelay<Session>;

/** A session that a relay thread has. */
export interface HandedOver {
  readonly kind: "thread";
  readonly thread: RelayThread;
  readonly slot: number;
}

/** What can be asked of a relay thread about the session in a slot, until its end is told. */
export interface RelayThread {
  /** Bytes relayed so far. */
  bytes(slot: number): RelayBytes;
  /** Ends it soon: the client is reset, the backend closed. */
  cut(slot: number): void;
}

/** Bytes relayed so far, wherever the session is relayed. */
export const relayedBytes = (relayed: Relay | HandedOver): RelayBytes =>
  relayed.kind === "thread"
    ? relayed.thread.bytes(relayed.slot)
    : { toBackend: relayed.backend.sent, toClient: relayed.client.sent };

/** Resets the client, and lets the backend know by FIN. */
export function cutRelay(relayed: Relay | HandedOver): void {
  if (relayed.kind === "thread") relayed.thread.cut(relayed.slot);
  else abort(relayed.client);
}
