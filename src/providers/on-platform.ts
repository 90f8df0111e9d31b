import type { Scaling } from "../routing/route.ts";

/**
 * What the wakers of all platforms have in common: labels or annotations say how long a start may take and
 * what the router may do. The time counts from the first look at the server, as the platform accepts a start
 * at once.
 */
export const onPlatform = {
  may: ({ scaling }: Scaled) => ({ start: scaling.up, stop: scaling.down }),
} as const;

/** The times of a platform's wakes, with its pause after each look, ms. */
export const platformTiming = (pauseMs: (round: number) => number) => ({
  timeoutMs: ({ scaling }: Scaled): number => scaling.waitMs,
  afterAcceptMs: null,
  pauseMs,
});

/** A target that says so itself. */
interface Scaled {
  readonly scaling: Scaling;
}
