import { expect, test } from "bun:test";
import { scaledByWebhook } from "../../../src/providers/webhook/scaled.ts";
import { makeAddress } from "../../../src/routing/address.ts";
import { parsePattern } from "../../../src/routing/pattern.ts";
import type { Route } from "../../../src/routing/route.ts";
import type { Delta, RouteSource } from "../../../src/routing/source.ts";

function route(hostname: string | null): Route {
  const pattern = hostname === null ? null : parsePattern(hostname);
  return {
    source: "api",
    id: hostname ?? "*",
    patterns: [pattern?.ok ? pattern.value : { kind: "default" }],
    address: makeAddress("10.0.0.5", 25570),
    wake: null,
  };
}

test("every route of a scaled source is woken by its hostname as it is written, the default route by none; the rest of it stays", async () => {
  const hostnames = ["MC.Example.com", "*.example.com", null];
  const source: RouteSource = {
    name: "api",
    run(publish) {
      publish.replace(hostnames.map(route));
      publish.patch({ upsert: [route("d.example.com")], remove: [] }, "more");
      publish.patch({ upsert: [route("b.example.com")], remove: ["c.example.com"] });
      return Promise.resolve();
    },
  };
  const replaced: (readonly Route[])[] = [];
  const patched: (readonly [Delta, "more" | undefined])[] = [];
  const scaled = scaledByWebhook(source);
  expect(scaled.name).toBe("api");
  await scaled.run(
    {
      replace: (routes) => replaced.push(routes),
      patch: (delta, more) => patched.push([delta, more]),
    },
    new AbortController().signal,
  );
  const woken = (hostname: string | null, serverAddress: string): Route => ({
    ...route(hostname),
    wake: { kind: "webhook", serverAddress, backend: "10.0.0.5:25570" },
  });
  expect(replaced).toEqual([
    [
      woken("MC.Example.com", "MC.Example.com"),
      woken("*.example.com", "*.example.com"),
      woken(null, ""),
    ],
  ]);
  expect(patched).toEqual([
    [{ upsert: [woken("d.example.com", "d.example.com")], remove: [] }, "more"],
    [{ upsert: [woken("b.example.com", "b.example.com")], remove: ["c.example.com"] }, undefined],
  ]);
});
