import { type Address, sameAddress } from "./address.ts";
import { type Pattern, patternText } from "./pattern.ts";

/** Every place that routes can come from, in order of precedence: the first source that claims a pattern owns it. */
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

/** Who starts a sleeping backend, and what it is called there. */
export type WakeTarget =
  | { readonly kind: "control-plane"; readonly server: string }
  /** `serverAddress` is the pattern's text, empty for the default route; `backend` the route's address. */
  | { readonly kind: "webhook"; readonly serverAddress: string; readonly backend: string };

/** What tells one backend from all others: targets with equal keys are started, counted and stopped as one. */
export const wakeKey = (target: WakeTarget): string => `${target.kind}:${wakeName(target)}`;

/** The backend's name as an operator knows it: the server's at the control plane, or the address. */
export const wakeName = (target: WakeTarget): string =>
  target.kind === "control-plane" ? target.server : target.backend;

/** One backend as its source describes it: the patterns it claims, where it lives and how it is woken. Never mutated. */
export interface Route {
  readonly source: SourceName;
  /** Unique within the source; among routes of one source that claim the same pattern the smallest wins, by code units. */
  readonly id: string;
  readonly patterns: readonly Pattern[];
  readonly address: Address;
  /** Null: the router cannot wake it. */
  readonly wake: WakeTarget | null;
  /** Whether the backend wants a PROXY protocol header; left out, the router's setting decides. */
  readonly proxyProtocol?: boolean;
}

/** True when both lead to the same backend, woken the same way. */
export const sameTarget = (a: Route, b: Route): boolean =>
  sameAddress(a.address, b.address) &&
  sameWake(a.wake, b.wake) &&
  a.proxyProtocol === b.proxyProtocol;

const sameWake = (a: WakeTarget | null, b: WakeTarget | null): boolean =>
  a === null || b === null ? a === b : wakeKey(a) === wakeKey(b);

/** True when a client could not tell the two routes apart (id and source aside). */
export const sameRoute = (a: Route, b: Route): boolean =>
  sameTarget(a, b) &&
  a.patterns.length === b.patterns.length &&
  a.patterns.every((pattern, i) => patternText(pattern) === patternText(b.patterns[i] ?? pattern));
