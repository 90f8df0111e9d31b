import { test } from "bun:test";
import { watch } from "../../src/app/observers.ts";
import { err } from "../../src/base/result.ts";
import { parseConfig } from "../../src/config/config.ts";

const log = {
  observe: () => {},
  level: { read: () => "info" as const, set: () => {} },
  warn: () => {},
  dropped: () => 0,
  flush: () => Promise.resolve(),
};

test("an abort ends the wait for a webhook that does not answer", async () => {
  const asked = Promise.withResolvers<void>();
  const receiver = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: () => {
      asked.resolve();
      return new Promise<Response>(() => {});
    },
  });
  const parsed = parseConfig(
    { WEBHOOK_URL: `http://127.0.0.1:${receiver.port}/`, WEBHOOK_EVENTS: "default-route-removed" },
    (path) => err(`${path} is not read here`),
  );
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.error));
  const { emit, stop } = watch(parsed.value.config, log, []);
  emit({
    kind: "routes-changed",
    source: "env",
    changes: {
      added: [],
      changed: [],
      conflicts: [],
      removed: [
        {
          pattern: { kind: "default" },
          route: {
            source: "env",
            id: "*",
            patterns: [{ kind: "default" }],
            address: { host: "x", port: 1, text: "x:1" },
            wake: null,
          },
        },
      ],
    },
  });
  await asked.promise;
  const now = new AbortController();
  const stopped = stop(now.signal);
  now.abort();
  // Unheeded, the wait would take longer than this test may.
  await stopped;
  await receiver.stop(true);
}, 4_000);
