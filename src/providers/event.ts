import type { SourceName } from "../routing/route.ts";

/** How a service of a container platform is. */
type ServiceStateKind = "sleeping" | "running" | "restart-delay" | "failed" | "waking";

/** What happens to a source of routes, as the operator needs to know it. */
export type SourceEvent =
  /** The source works: its routes are read and its changes are heard. `mode` tells how changes arrive. */
  | {
      readonly kind: "source-live";
      readonly source: SourceName;
      readonly routes: number;
      readonly mode: "notify" | "poll" | "reload";
      /** How long it was away; 0 for the first time. */
      readonly awayMs: number;
    }
  /** The source lost its origin; its last routes stay. Emitted once per outage, not once per attempt. */
  | {
      readonly kind: "source-lost";
      readonly source: SourceName;
      readonly reason: string;
      readonly routes: number;
    }
  /** A further attempt failed; for debug logs. */
  | {
      readonly kind: "source-retry";
      readonly source: SourceName;
      readonly reason: string;
      readonly nextMs: number;
    }
  /** One of its entries cannot be used; the others apply. Emitted once per distinct problem of a row. */
  | {
      readonly kind: "row-skipped";
      readonly source: SourceName;
      readonly row: string;
      readonly reason: string;
    }
  /** A Swarm service that has a route is in another state than before. */
  | {
      readonly kind: "service-state";
      readonly source: SourceName;
      readonly service: string;
      readonly before: ServiceStateKind;
      readonly state: ServiceStateKind;
    }
  /** Anything else an operator should act on; `message` says what and how. */
  | { readonly kind: "source-warning"; readonly source: SourceName; readonly message: string }
  /** Routes came from the snapshot file because the origin was not there at start. */
  | {
      readonly kind: "snapshot-loaded";
      readonly source: SourceName;
      readonly routes: number;
      readonly path: string;
      readonly ageMs: number;
    };
