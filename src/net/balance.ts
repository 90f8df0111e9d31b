import { createRecent } from "../base/recent.ts";
import type { Endpoint } from "./conn.ts";

/**
 * How one of several endpoints is chosen: the first that answers, the one with the fewest sessions,
 * or any.
 */
export const balancePolicies = ["first", "least", "random"] as const;

/** The name of a way to choose. */
export type BalancePolicy = (typeof balancePolicies)[number];

/** Chooses among the endpoints of a backend, by how they fared lately and by how many sessions each has. */
export interface Balancer {
  /**
   * All of them, in the order in which to try them: first those that are not known to be down, by
   * the policy.
   */
  order(endpoints: readonly Endpoint[]): readonly Endpoint[];
  /** It took no connection, or said nothing: it comes last until it has answered. */
  failed(endpoint: Endpoint): void;
  /** It works. */
  answered(endpoint: Endpoint): void;
  /**
   * Those that are down and to be probed now. One that has been given out is not given out again
   * for some seconds.
   */
  due(endpoints: readonly Endpoint[]): readonly Endpoint[];
  /** A session has chosen it, and counts until the function is called, once. */
  occupy(endpoint: Endpoint): () => void;
  /** Those that are known to be down, as far as they are remembered. */
  down(): readonly Endpoint[];
}

/** What a balancer needs. */
interface BalancerDeps {
  readonly policy: BalancePolicy;
  /** Milliseconds on a clock that never jumps; by default `performance.now`. */
  readonly now?: () => number;
  /** From 0 up to 1; by default `Math.random`. */
  readonly random?: () => number;
}

/** How long after a failure an endpoint is probed, and how long after that again, ms. */
const probeEveryMs = 10_000;

const rememberedLimit = 4_096;

interface Failure {
  readonly endpoint: Endpoint;
  /** When it is probed. */
  readonly dueAt: number;
}

/** A balancer that takes all endpoints for well. */
export function createBalancer(deps: BalancerDeps): Balancer {
  const { policy, now = () => performance.now(), random = Math.random } = deps;
  const failures = createRecent<string, Failure>(rememberedLimit);
  const sessions = new Map<string, number>();

  const failureOf = (endpoint: Endpoint): Failure | null => failures.get(keyOf(endpoint));
  const sessionsAt = (endpoint: Endpoint): number => sessions.get(keyOf(endpoint)) ?? 0;

  function byPolicy(endpoints: readonly Endpoint[]): readonly Endpoint[] {
    switch (policy) {
      case "first":
        return endpoints;
      case "least":
        return endpoints.toSorted((a, b) => sessionsAt(a) - sessionsAt(b));
      case "random":
        return shuffled(endpoints, random);
    }
  }

  function failed(endpoint: Endpoint): void {
    failures.set(keyOf(endpoint), { endpoint, dueAt: now() + probeEveryMs });
  }

  return {
    order(endpoints) {
      const up = endpoints.filter((endpoint) => failureOf(endpoint) === null);
      const down = endpoints.filter((endpoint) => failureOf(endpoint) !== null);
      return [...byPolicy(up), ...down];
    },
    failed,
    answered: (endpoint) => void failures.delete(keyOf(endpoint)),
    due(endpoints) {
      const time = now();
      const due = endpoints.filter((endpoint) => (failureOf(endpoint)?.dueAt ?? Infinity) <= time);
      for (const endpoint of due) failed(endpoint);
      return due;
    },
    occupy(endpoint) {
      const key = keyOf(endpoint);
      sessions.set(key, (sessions.get(key) ?? 0) + 1);
      return () => {
        const left = (sessions.get(key) ?? 1) - 1;
        if (left === 0) sessions.delete(key);
        else sessions.set(key, left);
      };
    },
    down: () => Array.from(failures.entries(), ([, { endpoint }]) => endpoint),
  };
}

const keyOf = ({ ip, port }: Endpoint): string => `${ip} ${port}`;

/** A copy in an order by chance (Fisher and Yates). */
function shuffled<T>(items: readonly T[], random: () => number): readonly T[] {
  const left = [...items];
  const drawn: T[] = [];
  while (left.length > 0) drawn.push(...left.splice(Math.floor(random() * left.length), 1));
  return drawn;
}
