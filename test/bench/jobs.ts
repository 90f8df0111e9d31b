/** What a backend does once it has read a client's opening. */
export const roles = ["echo", "echo2", "bulk", "status"] as const;

/** The part that a backend plays: `echo2` is an echo that can be told from the other by its first byte. */
export type Role = (typeof roles)[number];

/** The hostname that leads to the backend of that role. */
export const hostnameOf = (role: Role): string => `${role}.bench.example.org`;

/** The byte with which an echo greets a player who has logged in. */
export const greetings = { echo: 0x11, echo2: 0x22 } as const;

/** Where the backends and the control plane listen, all on 127.0.0.1. */
export interface BackendPorts {
  readonly roles: Readonly<Record<Role, number>>;
  readonly controlPlane: number;
}

/**
 * The control plane calls servers whose name begins so running, with the address of `echo`; all others are
 * starting for ever.
 */
export const runningPrefix = "running-";

/**
 * What the process of the clients can be asked to do: input and result by the job's name. Ports are those
 * of the program under test.
 */
export interface Jobs {
  /**
   * Logs players in, 64 at a time, and keeps them. `held` ones get no greeting but Login Plugin Requests,
   * and answer them as a game client does.
   */
  readonly open: {
    readonly input: {
      readonly port: number;
      readonly hostname: string;
      readonly count: number;
      readonly held: boolean;
    };
    readonly result: null;
  };
  /**
   * Lets the players who are logged in exchange packets with an echo at an even pace; gives how many came
   * back.
   */
  readonly exchange: {
    readonly input: {
      readonly perSecond: number;
      readonly bytes: number;
      readonly seconds: number;
    };
    readonly result: number;
  };
  /** Closes every player's connection; gives how many the other side had ended before. */
  readonly close: { readonly input: Record<string, never>; readonly result: number };
  /** Downloads from `bulk` in so many sessions at once; gives the bytes that came. */
  readonly bulk: {
    readonly input: {
      readonly port: number;
      readonly sessions: number;
      readonly bytesEach: number;
    };
    readonly result: number;
  };
  /**
   * Whole status exchanges (request, response, ping, pong), a connection each. Fails when one is not
   * answered.
   */
  readonly pings: {
    readonly input: {
      readonly port: number;
      readonly hostname: string;
      readonly count: number;
      readonly parallel: number;
    };
    readonly result: null;
  };
  /** Logs in to each hostname in turn; gives the time from connecting to the backend's first byte, ms. */
  readonly logins: {
    readonly input: { readonly port: number; readonly hostnames: readonly string[] };
    readonly result: readonly number[];
  };
  /**
   * Logs in again and again, with a pause of 1 ms, until that greeting comes; gives when, as ms since 1970.
   * Fails after 20 s.
   */
  readonly visible: {
    readonly input: {
      readonly port: number;
      readonly hostname: string;
      readonly greeting: number;
    };
    readonly result: number;
  };
  /** Connects so often and leaves at once, as a port scan does; gives how often it did. */
  readonly connects: {
    readonly input: { readonly port: number; readonly perSecond: number; readonly seconds: number };
    readonly result: number;
  };
  /**
   * Begins to download from `bulk` in so many sessions that then read no more; resolves when nothing moves.
   */
  readonly stall: {
    readonly input: { readonly port: number; readonly sessions: number };
    readonly result: null;
  };
  /** Sends a byte to an echo each millisecond; gives how long each took to come back, ms. */
  readonly probe: {
    readonly input: { readonly port: number; readonly hostname: string; readonly seconds: number };
    readonly result: readonly number[];
  };
}
