import { type Address, sameAddress } from "./address.ts";
import { type Pattern, patternText } from "./pattern.ts";

/** Every place that routes can come from, in order of precedence: the first source that claims a hostname owns it. */
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

/** How a sleeping backend is started, and the name it is started by. */
export type WakeTarget = { readonly kind: "control-plane"; readonly server: string };

/** One backend as its source describes it: the hostnames it claims, where it lives and how it is woken. Never mutated. */
export interface Route {
  readonly source: SourceName;
  /** Unique within the source; also the order in which claims of one source win (smallest first). */
  readonly id: string;
  readonly patterns: readonly Pattern[];
  readonly address: Address;
  /** Null: the router cannot wake it. */
  readonly wake: WakeTarget | null;
}

/** True when a client could not tell the two routes apart (id and source aside). */
export function sameRoute(a: Route, b: Route): boolean {
  return (
    sameAddress(a.address, b.address) &&
    a.wake?.kind === b.wake?.kind &&
    a.wake?.server === b.wake?.server &&
    a.patterns.length === b.patterns.length &&
    a.patterns.every((pattern, i) => patternText(pattern) === patternText(b.patterns[i] ?? pattern))
  );
}
