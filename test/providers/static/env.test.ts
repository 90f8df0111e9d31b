import { expect, test } from "bun:test";
import { createEnvSource } from "../../../src/providers/static/env.ts";
import { makeAddress } from "../../../src/routing/address.ts";
import type { Route } from "../../../src/routing/route.ts";

const route: Route = {
  source: "env",
  id: "*",
  patterns: [{ kind: "default" }],
  address: makeAddress("10.0.0.1", 25565),
  wake: null,
};

test("the environment's routes are published once, and the source stays until it is stopped", async () => {
  const published: (readonly Route[])[] = [];
  const publish = {
    replace: (routes: readonly Route[]) => {
      published.push(routes);
    },
    patch: () => {
      throw new Error("it has nothing to patch");
    },
  };
  const stopping = new AbortController();
  let hasEnded = false;
  const ended = createEnvSource([route])
    .run(publish, stopping.signal)
    .then(() => {
      hasEnded = true;
    });
  await Bun.sleep(1);
  expect(hasEnded).toBe(false);
  stopping.abort();
  await ended;
  expect(published).toEqual([[route]]);
  await createEnvSource([]).run(publish, AbortSignal.abort());
  expect(published).toEqual([[route], []]);
});
