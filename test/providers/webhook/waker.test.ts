import { describe, expect, test } from "bun:test";
import {
  createWebhook,
  type WebhookDeps,
  type WebhookTarget,
} from "../../../src/providers/webhook/waker.ts";
import { makeAddress } from "../../../src/routing/address.ts";
import type { BackendEvent } from "../../../src/wake/event.ts";
import type { WakeableBackend } from "../../../src/wake/waker.ts";
import { reserveClosedPort } from "../../support/net/ports.ts";
import { manualDeadlines } from "../../support/session/session-clock.ts";
import { until } from "../../support/until.ts";
import { startReceiver } from "../../wake/receiver.ts";

const never = new AbortController().signal;

const target: WebhookTarget = {
  kind: "webhook",
  serverAddress: "play.example.com",
  backend: "10.0.0.5:25565",
};
const sleeper: WakeableBackend<WebhookTarget> = { target, address: makeAddress("10.0.0.5", 25565) };
const configured = [sleeper.address];

/** A webhook at this URL, on a clock that the test moves. */
function webhookFor(url: string, deps: Partial<WebhookDeps> = {}) {
  const clock = manualDeadlines();
  const events: BackendEvent[] = [];
  const webhook = createWebhook({
    url,
    headers: () => ({}),
    timeoutMs: 30_000,
    wakeTimeoutMs: 60_000,
    attemptMs: 2_000,
    deadlines: clock,
    emit: (event) => events.push(event),
    ...deps,
  });
  return { ...webhook, clock, events };
}

describe("a call", () => {
  test("is a POST of JSON with the action, the hostname and the backend", async () => {
    await using receiver = startReceiver();
    const webhook = webhookFor(receiver.url);
    expect(await webhook.start(sleeper, never)).toEqual({ ok: true, value: undefined });
    expect(await webhook.stop(target, never)).toEqual({ ok: true, value: undefined });
    const call = { method: "POST", path: "/scale" };
    const rest = '"serverAddress":"play.example.com","backend":"10.0.0.5:25565"}';
    expect(receiver.calls).toMatchObject([
      { ...call, body: `{"action":"up",${rest}`, headers: { "content-type": "application/json" } },
      { ...call, body: `{"action":"down",${rest}` },
    ]);
    expect(webhook.clock.pending).toBe(0);
  });

  test("carries the configured headers, which win over ours, but for those of the connection itself", async () => {
    await using receiver = startReceiver();
    const webhook = webhookFor(receiver.url, {
      headers: () => ({
        Authorization: "Bearer s3cret",
        "Content-Type": "application/x-scale",
        Host: "evil.example.com",
        "Content-Length": "3",
      }),
    });
    await webhook.start(sleeper, never);
    const { headers, body } = receiver.calls[0] ?? { headers: {}, body: "" };
    expect(headers).toMatchObject({
      authorization: "Bearer s3cret",
      "content-type": "application/x-scale",
      host: new URL(receiver.url).host,
    });
    expect(JSON.parse(body)).toMatchObject({ action: "up" });
  });

  for (const action of ["up", "down"] as const) {
    test.each([200, 201, 202, 204, 299])(`"${action}" answered %i was done`, async (status) => {
      await using receiver = startReceiver();
      receiver.answer(() => new Response(null, { status }));
      const webhook = webhookFor(receiver.url);
      const done = action === "up" ? webhook.start(sleeper, never) : webhook.stop(target, never);
      expect(await done).toEqual({ ok: true, value: undefined });
    });

    test.each([300, 304, 400, 404, 409, 500, 503])(
      `"${action}" answered %i was not`,
      async (status) => {
        await using receiver = startReceiver();
        receiver.answer(() => new Response(null, { status }));
        const webhook = webhookFor(receiver.url);
        const reason = `the webhook's "${action}": status ${status}`;
        if (action === "up") {
          const error = { reason, isFinal: true };
          expect(await webhook.start(sleeper, never)).toEqual({ ok: false, error });
        } else {
          expect(await webhook.stop(target, never)).toEqual({ ok: false, error: reason });
        }
      },
    );
  }

  const redirects = [
    { status: 301, method: "GET" },
    { status: 302, method: "GET" },
    { status: 303, method: "GET" },
    { status: 307, method: "POST" },
    { status: 308, method: "POST" },
  ];
  for (const { status, method } of redirects) {
    test(`a redirect by ${status} is followed by ${method}, and what is there decides`, async () => {
      await using receiver = startReceiver();
      receiver.answer(({ path }) =>
        path === "/scale"
          ? new Response(null, { status, headers: { location: "/there" } })
          : new Response(null, { status: 418 }),
      );
      expect(await webhookFor(receiver.url).start(sleeper, never)).toMatchObject({
        ok: false,
        error: { reason: expect.stringContaining("418") },
      });
      const [first, second] = receiver.calls;
      expect(second).toMatchObject({ method, path: "/there" });
      expect(second?.body).toBe(method === "POST" ? (first?.body ?? "") : "");
    });
  }

  test("that nobody takes has failed", async () => {
    using closed = await reserveClosedPort();
    const webhook = webhookFor(`http://127.0.0.1:${closed.port}/`);
    expect(await webhook.start(sleeper, never)).toEqual({
      ok: false,
      error: { reason: 'the webhook\'s "up": connection refused', isFinal: true },
    });
  });

  test("that is not answered in time has failed", async () => {
    await using receiver = startReceiver();
    receiver.answer(() => new Promise(() => {}));
    const webhook = webhookFor(receiver.url);
    const started = webhook.start(sleeper, never);
    await until("the call", () => receiver.calls.length === 1);
    webhook.clock.advance(30_000);
    expect(await started).toEqual({
      ok: false,
      error: { reason: 'the webhook\'s "up": no answer within 30 s', isFinal: true },
    });
  });
});

/** Where the webhook's waker looks for the backend. */
async function addressesOf(
  webhook: ReturnType<typeof webhookFor>,
  of: WebhookTarget,
): Promise<readonly string[]> {
  const looked = await webhook.look({ ...sleeper, target: of }, never);
  return looked.kind === "unknown" ? looked.addresses.map(({ text }) => text) : [];
}

describe("the address that an answer names", () => {
  const rows: readonly { name: string; body: string; override: string | null }[] = [
    { name: "an address", body: '{"backend":"10.0.0.9:25570"}', override: "10.0.0.9:25570" },
    { name: "with spaces", body: '{"backend":"  10.0.0.9:25570 "}', override: "10.0.0.9:25570" },
    { name: "in Go's spelling", body: '{"Backend":"10.0.0.9:25570"}', override: "10.0.0.9:25570" },
    { name: "empty text", body: '{"backend":""}', override: null },
    { name: "blank text", body: '{"backend":"  "}', override: null },
    { name: "an empty object", body: "{}", override: null },
    { name: "nothing", body: "", override: null },
    { name: "no JSON", body: "not json", override: null },
    { name: "OK", body: "OK", override: null },
    { name: "a number", body: '{"backend":25565}', override: null },
    { name: "a list", body: '["10.0.0.9:25570"]', override: null },
    { name: "JSON null", body: "null", override: null },
    {
      name: "an address in an answer of 4096 bytes",
      body: `{"backend":"10.0.0.9:25570"}`.padEnd(4096),
      override: "10.0.0.9:25570",
    },
    {
      name: "an address in an answer that is cut",
      body: `{"x":"${"y".repeat(4096)}","backend":"10.0.0.9:25570"}`,
      override: null,
    },
  ];
  for (const { name, body, override } of rows) {
    test(`${name}: ${override ?? "none"}`, async () => {
      await using receiver = startReceiver();
      receiver.answer(() => new Response(body));
      const webhook = webhookFor(receiver.url);
      expect(await webhook.start(sleeper, never)).toEqual({ ok: true, value: undefined });
      const looked = await webhook.look(sleeper, never);
      expect(looked).toMatchObject({
        kind: "unknown",
        addresses: [{ text: override ?? "10.0.0.5:25565" }],
      });
    });
  }

  test("when it is none, the call has failed", async () => {
    await using receiver = startReceiver();
    receiver.answer(() => Response.json({ backend: "10.0.0.9:port" }));
    const webhook = webhookFor(receiver.url);
    expect(await webhook.start(sleeper, never)).toMatchObject({
      ok: false,
      error: { reason: expect.stringContaining("its backend has no valid port") },
    });
    expect(await addressesOf(webhook, target)).toEqual(["10.0.0.5:25565"]);
  });

  test('holds for all targets of the backend until a "down" that worked', async () => {
    await using receiver = startReceiver();
    receiver.answer(() => Response.json({ backend: "10.0.0.9:25570" }));
    const webhook = webhookFor(receiver.url);
    const alias = { ...target, serverAddress: "alias.example.com" };
    await webhook.start(sleeper, never);
    expect(await addressesOf(webhook, alias)).toEqual(["10.0.0.9:25570"]);
    const other = { ...target, backend: "10.0.0.6:25565" };
    expect(await addressesOf(webhook, other)).toEqual(["10.0.0.5:25565"]);
    receiver.answer(() => new Response(null, { status: 500 }));
    await webhook.stop(target, never);
    expect(await addressesOf(webhook, target)).toEqual(["10.0.0.9:25570"]);
    receiver.answer(() => new Response());
    await webhook.stop(alias, never);
    expect(await addressesOf(webhook, target)).toEqual(["10.0.0.5:25565"]);
  });

  test("of an earlier call comes first, and the configured one second, when the last answer named none", async () => {
    await using receiver = startReceiver();
    receiver.answer(() => Response.json({ backend: "10.0.0.9:25570" }));
    const webhook = webhookFor(receiver.url);
    await webhook.start(sleeper, never);
    receiver.answer(() => new Response());
    await webhook.start(sleeper, never);
    expect(await webhook.look(sleeper, never)).toEqual({
      kind: "unknown",
      addresses: [makeAddress("10.0.0.9", 25570), ...configured],
    });
  });
});

test("a webhook that fails is news once, and so is its return", async () => {
  await using receiver = startReceiver();
  receiver.answer(() => new Response(null, { status: 500 }));
  const webhook = webhookFor(receiver.url);
  await webhook.start(sleeper, never);
  await webhook.start(sleeper, never);
  receiver.answer(() => new Response());
  await webhook.start(sleeper, never);
  await webhook.start(sleeper, never);
  const server = "10.0.0.5:25565";
  expect(webhook.events).toEqual([
    { kind: "webhook-lost", server, reason: 'the webhook\'s "up": status 500' },
    { kind: "webhook-back", server },
  ]);
});

test("the pace is mc-router's, and there is time for one attempt at least", () => {
  const webhook = webhookFor("http://127.0.0.1:9/", { wakeTimeoutMs: 0 });
  expect([1, 2, 3].map(webhook.timing.pauseMs)).toEqual([500, 1_000, 1_000]);
  expect(webhook.timing.timeoutMs(sleeper.target)).toBe(32_000);
  expect(webhook.timing.afterAcceptMs).toBe(2_000);
});
