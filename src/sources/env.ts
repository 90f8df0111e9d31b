import type { Route } from "../routing/route.ts";
import type { RouteSource } from "../routing/source.ts";

/** The routes that the environment names: published once, they never change. */
export function createEnvSource(routes: readonly Route[]): RouteSource {
  return {
    name: "env",
    run(publish, signal) {
      publish.replace(routes);
      if (signal.aborted) return Promise.resolve();
      return new Promise((resolve) => {
        signal.addEventListener("abort", () => resolve(), { once: true });
      });
    },
  };
}
