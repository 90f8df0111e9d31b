import type { ConnectionRefusal } from "../limits/connection-limiter.ts";
import type { Endpoint } from "../net/conn.ts";
import type { Player } from "../protocol/login.ts";
import type { Outcome } from "./outcome.ts";

/** What is known of a session so far. Text of the client is raw: observers escape it where they print it. */
export interface SessionFacts {
  /** Counts up from 1 in each run. */
  readonly id: number;
  readonly client: Endpoint;
  readonly intent: "status" | "login" | "transfer" | "legacy-ping" | "legacy-login" | null;
  /** The protocol number that the client gave; null before that. */
  readonly protocol: number | null;
  /** The host as the client sent it, up to the first NUL, where mods and proxies begin. */
  readonly rawHost: string | null;
  readonly hostname: string | null;
  /** The claim that matched, printed: `play.example.com`, `*.example.com` or `*`. */
  readonly route: string | null;
  /** The source's own name for the route, such as the name of a Postgres row. */
  readonly row: string | null;
  /** The address that was dialled last; of a wait that failed before, the route's. */
  readonly backend: string | null;
  readonly player: Player | null;
  /** How long the player waited for the backend to be up, ms; null when it did not wait. */
  readonly waitedMs: number | null;
}

/** What a session tells about itself. */
export type SessionEvent =
  /** A client has connected; nothing is known about it yet. */
  | { readonly kind: "session-accepted"; readonly client: Endpoint }
  /**
   * So many clients were turned away for this reason since the last such event, the last of them from that
   * address.
   */
  | {
      readonly kind: "clients-refused";
      readonly why: ConnectionRefusal;
      readonly count: number;
      readonly lastIp: string;
    }
  /** A login waits for its server. */
  | { readonly kind: "session-holding"; readonly session: SessionFacts }
  /** Client and backend are joined. */
  | { readonly kind: "session-relaying"; readonly session: SessionFacts }
  /** The session is over: the last event of each. */
  | {
      readonly kind: "session-ended";
      readonly session: SessionFacts;
      readonly outcome: Outcome;
      readonly durationMs: number;
    }
  /** The router's own code threw. The session concerned is cut; the others go on. */
  | { readonly kind: "fault"; readonly error: Error };
