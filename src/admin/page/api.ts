/** What a signed-in browser may do. */
export type Scope = "read" | "change";

/** A server as `GET /servers` has it. */
export interface Server {
  readonly name: string;
  readonly state: "unknown" | "looking" | "starting" | "up" | "failed" | "fixed";
  readonly stateMs: number | null;
  readonly may: { readonly start: boolean; readonly stop: boolean };
  readonly address: string | null;
  readonly hostnames: readonly string[];
  readonly routes: readonly Route[];
  readonly players: number;
  readonly waiting: number;
  readonly usualStartMs: number | null;
  readonly lastFailure: string | null;
  /** The path of its icon, which changes with the icon. */
  readonly icon: string | null;
}

/** A hostname and where it leads. */
export interface Route {
  readonly hostname: string;
  readonly backend: string;
  readonly source: string;
  readonly row: string;
}

/** A session as `GET /sessions` has it. */
export interface Session {
  readonly id: number;
  readonly client: { readonly ip: string; readonly port: number };
  readonly intent: string | null;
  readonly hostname: string | null;
  readonly backend: string | null;
  readonly player: { readonly name: string } | null;
  readonly durationMs: number;
  readonly bytesToClient: number;
}

/** `GET /status`. */
export interface Status {
  readonly version: string;
  readonly commit: string;
  readonly startedAt: string;
  readonly isReady: boolean;
  readonly notReady: readonly { readonly name: string; readonly reason: string }[];
  readonly listening: string | null;
  readonly sessions: { readonly waiting: number; readonly relaying: number };
  readonly sources: readonly {
    readonly name: string;
    readonly state: string;
    readonly mode: string | null;
    readonly routes: number;
    readonly ageMs: number | null;
    readonly reason: string | null;
  }[];
  readonly services: readonly {
    readonly name: string;
    readonly isUp: boolean;
    readonly reason: string | null;
  }[];
  readonly warnings: readonly { readonly at: string; readonly message: string }[];
}

/** `GET /explain`. */
export interface Explanation {
  readonly hostname: string;
  readonly claims: readonly {
    readonly pattern: string;
    readonly backend: string;
    readonly source: string;
    readonly row: string;
    readonly standing: string;
  }[];
}

/** One event of `GET /events`. */
export interface RouterEvent {
  readonly time: string;
  readonly event: string;
  readonly level: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, string | number | boolean | null>>;
}

/** The answer of the router: JSON, why it refused, or null where it did not answer. */
export type Answer<T> =
  | { readonly kind: "ok"; readonly value: T }
  | { readonly kind: "refused"; readonly status: number; readonly detail: string }
  | null;

/**
 * Asks the router. The value is trusted to be what the path answers: the page and the router are one file.
 */
export async function ask<T>(method: string, path: string, body?: object): Promise<Answer<T>> {
  try {
    const init = body === undefined ? { method } : { method, body: JSON.stringify(body) };
    const response = await fetch(path, init);
    const text = await response.text();
    const value = text === "" ? null : JSON.parse(text);
    if (response.ok) return { kind: "ok", value };
    return { kind: "refused", status: response.status, detail: String(value?.detail ?? "") };
  } catch {
    return null;
  }
}
