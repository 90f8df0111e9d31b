import { expect, test } from "bun:test";
import { createDeadlines } from "../../src/base/deadlines.ts";
import { makeAddress } from "../../src/routing/address.ts";
import { createOccupancy, createStatusProbe } from "../../src/session/probe.ts";
import { readHandshake, statusResponse } from "../support/minecraft/wire.ts";
import {
  type Behaviour,
  closing,
  running,
  sending,
  silent,
  startBackend,
  status,
} from "../support/net/backend.ts";
import { reserveClosedPort } from "../support/net/ports.ts";
import { manualDeadlines } from "../support/session/session-clock.ts";
import { realDialer } from "../support/session/session-world.ts";

const never = new AbortController().signal;
const target = { kind: "control-plane", server: "a" } as const;

/** What a probe of the port finds out. */
function probed(port: number, deadlines = createDeadlines(), proxyProtocol = false) {
  const address = makeAddress("127.0.0.1", port);
  const deps = { dialer: realDialer(createDeadlines()), deadlines, sendProxyProtocol: false };
  const backend = { target, address, hostname: "a.example.com", proxyProtocol };
  return createStatusProbe(deps)(address, backend, never);
}

const half: Behaviour = {
  async data(connection) {
    await connection.send(statusResponse('{"version":{}}').subarray(0, 9));
    connection.finish();
  },
};
const answers: readonly {
  readonly name: string;
  readonly behaviour: Behaviour;
  readonly port: string;
}[] = [
  { name: "with a version", behaviour: status('{"version":{"name":"x"}}'), port: "ready" },
  { name: "without a version", behaviour: status('{"description":"x"}'), port: "open" },
  { name: "with a string", behaviour: status('"still starting"'), port: "open" },
  { name: "with no JSON", behaviour: status("{"), port: "open" },
  { name: "with no packet", behaviour: sending(Buffer.from("SSH-2.0-OpenSSH\r\n")), port: "open" },
  { name: "with half an answer", behaviour: half, port: "open" },
  { name: "by closing", behaviour: closing, port: "no-status" },
];
test.each([...answers])("a server that answers $name is $port", async ({ behaviour, port }) => {
  using backend = startBackend(behaviour);
  const found: { port: string; why: string | null } = await probed(backend.port);
  expect(found).toEqual({ port, why: null });
});

test("a server that says nothing is open, after 3 s", async () => {
  using backend = startBackend(silent);
  const clock = manualDeadlines();
  const found = probed(backend.port, clock);
  await (await backend.waitForConnection(0)).waitForLength(20);
  clock.advance(3_000);
  expect(await found).toEqual({ port: "open", why: null });
});

test("a closed port is told with the reason", async () => {
  using closed = await reserveClosedPort();
  expect(await probed(closed.port)).toEqual({ port: "closed", why: "refuses connections" });
});

test("the server sees a hostname that leads to it, behind a PROXY header where it wants one", async () => {
  using backend = startBackend(status('{"version":{}}'));
  await probed(backend.port);
  const said = backend.connections[0]?.received() ?? Buffer.alloc(0);
  expect(readHandshake(said)?.handshake).toMatchObject({
    protocol: -1,
    host: "a.example.com",
    intent: 1,
  });

  using recording = startBackend({});
  const clock = manualDeadlines();
  const found = probed(recording.port, clock, true);
  const connection = await recording.waitForConnection(0);
  await connection.waitForLength(16);
  expect(connection.received().subarray(0, 12).toString("hex")).toBe("0d0a0d0a000d0a515549540a");
  clock.advance(3_000);
  await found;
});

const crowds = [
  { name: "players", json: '{"players":{"online":3}}', online: 3 },
  { name: "none", json: '{"players":{"online":0}}', online: 0 },
  { name: "nothing of players", json: "{}", online: null },
];
test.each(crowds)("a status that names $name says who is there", async ({ json, online }) => {
  using backend = startBackend(running(Buffer.alloc(0), json));
  const address = makeAddress("127.0.0.1", backend.port);
  const deadlines = createDeadlines();
  const ask = createOccupancy({
    dialer: realDialer(deadlines),
    deadlines,
    sendProxyProtocol: false,
  });
  expect(await ask({ target, address }, address, never)).toEqual({
    at: { ip: "127.0.0.1", port: backend.port },
    online,
  });
  using closed = await reserveClosedPort();
  const nowhere = makeAddress("127.0.0.1", closed.port);
  expect(await ask({ target, address }, nowhere, never)).toEqual({ at: null, online: null });
});
