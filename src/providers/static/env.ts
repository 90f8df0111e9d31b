import { untilAborted } from "../../base/wait.ts";
import type { Route } from "../../routing/route.ts";
import type { RouteSource } from "../../routing/source.ts";

/** The routes that the environment names: published once, they never change. */
export function createEnvSource(routes: readonly Route[]): RouteSource {
  return {
    name: "env",
    async run(publish, signal) {
      publish.replace(routes);
      await untilAborted(signal);
    },
  };
}
