import { writtenPattern } from "../../routing/pattern.ts";
import type { Route } from "../../routing/route.ts";
import type { Publish, RouteSource } from "../../routing/source.ts";

/** A source of fixed routes, each with one pattern, whose backends a webhook starts and stops. */
export function scaledByWebhook({ name, run }: RouteSource): RouteSource {
  return {
    name,
    run: (publish, signal) => run(scaling(publish), signal),
  };
}

const scaling = ({ replace, patch }: Publish): Publish => ({
  replace: (routes) => replace(routes.map(scaled)),
  patch: ({ upsert, remove }, more) => patch({ upsert: upsert.map(scaled), remove }, more),
});

function scaled(route: Route): Route {
  const [pattern] = route.patterns;
  const serverAddress = pattern === undefined ? "" : writtenPattern(pattern);
  return { ...route, wake: { kind: "webhook", serverAddress, backend: route.address.text } };
}
