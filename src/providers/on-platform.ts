import type { Scaling } from "../routing/route.ts";

/**
 * What the wakers of all platforms have in common: labels or annotations say what may be done with a backend, and where it is reached is
 * told by its route, which its source keeps up to date.
 */
export const onPlatform = {
  asking: "until-accepted",
  askMs: 0,
  timeoutMs: ({ scaling }: Scaled) => scaling.waitMs,
  moved: () => null,
  forget() {
    // Nothing is kept of where it lives.
  },
  canStart: ({ scaling }: Scaled) => scaling.up,
  canStop: ({ scaling }: Scaled) => scaling.down,
} as const;

/** A target that says so itself. */
interface Scaled {
  readonly scaling: Scaling;
}
