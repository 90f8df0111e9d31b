import { type Address, sameAddress } from "./address.ts";
import type { Hostname } from "./hostname.ts";
import { type Pattern, patternText } from "./pattern.ts";

/**
 * Every place that routes can come from, in order of precedence: the first source that claims a
 * pattern owns it.
 */
export const sourceNames = [
  "env",
  "file",
  "api",
  "postgres",
  "docker",
  "swarm",
  "kubernetes",
] as const;

/** The name of a place that routes come from. */
export type SourceName = (typeof sourceNames)[number];

/** What a platform's labels or annotations allow the router to do with a backend. */
export interface Scaling {
  /** It may be started. */
  readonly up: boolean;
  /** It may be stopped. */
  readonly down: boolean;
  /** How long a start may take, ms. */
  readonly waitMs: number;
}

/** What starts a sleeping backend, and how the backend is named there. */
export type WakeTarget =
  | { readonly kind: "control-plane"; readonly server: string }
  /**
   * `serverAddress` is the pattern as written, empty for the default route; `backend` the route's
   * address.
   */
  | { readonly kind: "webhook"; readonly serverAddress: string; readonly backend: string }
  /**
   * `container` is its full id; players reach it at `port` on the network that `network` names, or
   * on its only one.
   */
  | {
      readonly kind: "docker";
      readonly container: string;
      readonly name: string;
      readonly port: number;
      readonly network: string | null;
      readonly scaling: Scaling;
    }
  /**
   * `service` is its id; players reach it at `port` on the network that `network` names, or on its
   * first one.
   */
  | {
      readonly kind: "swarm";
      readonly service: string;
      readonly name: string;
      readonly port: number;
      readonly network: string | null;
      readonly scaling: Scaling;
    }
  /** `service` is the name of one in that namespace; players may reach it behind a proxy of its own. */
  | {
      readonly kind: "kubernetes";
      readonly namespace: string;
      readonly service: string;
      readonly isBehindProxy: boolean;
      readonly scaling: Scaling;
    };

/** Identity of a backend: targets with equal keys are started, counted and stopped as one. */
export function wakeKey(target: WakeTarget): string {
  const id = wakeId(target);
  // An address is the same in every spelling.
  return `${target.kind}:${target.kind === "webhook" ? id.toLowerCase() : id}`;
}

/** The backend's name where it is started: the server at the control plane, the address, or an id. */
export function wakeId(target: WakeTarget): string {
  switch (target.kind) {
    case "control-plane":
      return target.server;
    case "webhook":
      return target.backend;
    case "docker":
      return target.container;
    case "swarm":
      return target.service;
    case "kubernetes":
      return `${target.namespace}:${target.service}`;
  }
}

/** The backend's name as an operator knows it. */
export function wakeName(target: WakeTarget): string {
  switch (target.kind) {
    case "control-plane":
    case "webhook":
    case "kubernetes":
      return wakeId(target);
    case "docker":
    case "swarm":
      return target.name;
  }
}

/** What a route's own texts are for the server list. */
export interface Motd {
  /** For a backend that sleeps; empty: the router's own text. */
  readonly asleep: string;
  /** For one that is being started; empty: as `asleep`. */
  readonly loading: string;
  /**
   * When the platform starts it again by itself, ms since the epoch: what `{duration}` counts down
   * to. Null: it does not say.
   */
  readonly until: number | null;
  /** What a player reads who joins while it cannot be started; left out: the router's own words. */
  readonly refusal?: string;
}

/**
 * One backend as its source describes it: the patterns it claims, where it lives and how it is
 * woken. Never mutated.
 */
export interface Route {
  readonly source: SourceName;
  /**
   * Unique within the source; among routes of one source that claim the same pattern the smallest
   * wins, by code units.
   */
  readonly id: string;
  readonly patterns: readonly Pattern[];
  /** `nowhere` while it sleeps and has none. */
  readonly address: Address;
  /** Null: the router can neither wake it nor put it to sleep. */
  readonly wake: WakeTarget | null;
  /** Its own texts for the server list; left out, it has none. */
  readonly motd?: Motd;
  /** Whether the backend wants a PROXY protocol header; left out, the router's setting decides. */
  readonly proxyProtocol?: boolean;
  /** The hostname whose route takes its logins while it is down; left out, the router's setting decides. */
  readonly fallback?: Hostname;
}

/** True when both lead to the same backend, woken the same way. */
export const sameTarget = (a: Route, b: Route): boolean =>
  sameAddress(a.address, b.address) &&
  sameWake(a.wake, b.wake) &&
  a.proxyProtocol === b.proxyProtocol;

const sameWake = (a: WakeTarget | null, b: WakeTarget | null): boolean =>
  a === null || b === null ? a === b : wakeKey(a) === wakeKey(b) && sameTerms(a, b);

/** On what terms the backend is woken, where its source says so. */
function termsOf(target: WakeTarget): readonly (string | number | boolean | null)[] {
  switch (target.kind) {
    case "control-plane":
    case "webhook":
      return [];
    case "docker":
    case "swarm": {
      const { up, down, waitMs } = target.scaling;
      return [target.name, target.port, target.network, up, down, waitMs];
    }
    case "kubernetes": {
      const { up, down, waitMs } = target.scaling;
      return [target.isBehindProxy, up, down, waitMs];
    }
  }
}

function sameTerms(a: WakeTarget, b: WakeTarget): boolean {
  const others = termsOf(b);
  return termsOf(a).every((term, i) => term === others[i]);
}

const sameMotd = (a: Motd | undefined, b: Motd | undefined): boolean =>
  a?.asleep === b?.asleep &&
  a?.loading === b?.loading &&
  a?.until === b?.until &&
  a?.refusal === b?.refusal;

/** True when neither a client nor a webhook could tell the two routes apart (id and source aside). */
export const sameRoute = (a: Route, b: Route): boolean =>
  sameTarget(a, b) &&
  sameMotd(a.motd, b.motd) &&
  sameSpelling(a.wake, b.wake) &&
  a.fallback === b.fallback &&
  a.patterns.length === b.patterns.length &&
  a.patterns.every((pattern, i) => patternText(pattern) === patternText(b.patterns[i] ?? pattern));

/** A webhook is sent the names as they are written. */
const sameSpelling = (a: WakeTarget | null, b: WakeTarget | null): boolean =>
  a?.kind !== "webhook" ||
  b?.kind !== "webhook" ||
  (a.serverAddress === b.serverAddress && a.backend === b.backend);
