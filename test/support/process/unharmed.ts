import { expect } from "bun:test";
import { linesOf } from "./e2e-network.ts";
import type { Router } from "./router.ts";

/** Fails when something unexpected was thrown in the router, or it has ended. */
export function expectUnharmed(...routers: readonly Router[]): void {
  for (const router of routers) {
    expect(linesOf(router, "fault")).toEqual([]);
    expect(router.rss()).toBeGreaterThan(0);
  }
}
