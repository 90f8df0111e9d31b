import type { Observer } from "./bus.ts";
import type { Family } from "./family.ts";

/** Some of the router's metrics, and the observer that keeps them. */
export interface MetricsPart {
  readonly observe: Observer;
  readonly families: readonly Family[];
}
