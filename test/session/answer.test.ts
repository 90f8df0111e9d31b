import { describe, expect, test } from "bun:test";
import {
  frame,
  handshake,
  intents,
  legacyPing,
  login,
  ping,
  readLegacyAnswer,
  statusRequest,
  statusResponse,
} from "../support/minecraft/wire.ts";
import { silent, startBackend, status } from "../support/net/backend.ts";
import { reserveClosedPort } from "../support/net/ports.ts";
import { startControlPlane } from "../support/process/control-plane.ts";
import { advanceUntil, manualDeadlines } from "../support/session/session-clock.ts";
import {
  route,
  type SessionWorldOptions,
  startSessions,
} from "../support/session/session-world.ts";
import { until } from "../support/until.ts";

const asleepText = 'Zzz … <b>"§6&\u2028';
/** mc-router's key order and escapes. */
const asleepJson = (protocol: number): string =>
  `{"version":{"name":"1.7+","protocol":${protocol}},"players":{"max":1,"online":0},"description":{"text":"Zzz … \\u003cb\\u003e\\"§6\\u0026\\u2028"}}`;
const simpleJson = (text: string): string =>
  `{"version":{"name":"1.7+","protocol":774},"players":{"max":1,"online":0},"description":{"text":"${text}"}}`;

/** Three sleeping servers: one with a name of its own, one behind a wildcard, one behind the default route. */
async function sleepingServers(options: SessionWorldOptions = {}) {
  const closed = await reserveClosedPort();
  const plane = startControlPlane({ servers: [{ name: "sleepy", startMs: null }] });
  const address = `127.0.0.1:${closed.port}`;
  const routes = [
    route("sleepy.example.com", address, "sleepy"),
    route("*.wild.example.com", address, "wild"),
    route(null, address, "fallback"),
  ];
  const world = startSessions({ routes, plane, asleepText, ...options });
  return {
    ...world,
    plane,
    async [Symbol.asyncDispose]() {
      await world[Symbol.asyncDispose]();
      await plane[Symbol.asyncDispose]();
      closed[Symbol.dispose]();
    },
  };
}

const statusHandshake = (host: string, protocol = 774): Buffer =>
  handshake({ protocol, host, port: 25565, intent: intents.status });

const statusPing = (host: string, protocol = 774): Buffer =>
  Buffer.concat([statusHandshake(host, protocol), statusRequest, ping(0x0102030405060708n)]);

const fullAnswer = (json: string): Buffer =>
  Buffer.concat([statusResponse(json), ping(0x0102030405060708n)]);

describe("a ping of a sleeping server", () => {
  const spellings: readonly { name: string; host: string }[] = [
    { name: "as configured", host: "sleepy.example.com" },
    { name: "in capitals", host: "SLEEPY.Example.COM" },
    { name: "with a root dot", host: "sleepy.example.com." },
    { name: "from Forge", host: "sleepy.example.com\0FML3\0" },
    { name: "from TCPShield", host: "sleepy.example.com///192.0.2.1:5000///1700000000" },
    { name: "from Infinity Filter", host: "sleepy.example.com\\192.0.2.1" },
    { name: "below a wildcard", host: "deep.down.wild.example.com" },
    { name: "on the default route", host: "nobody.example.org" },
    { name: "without a hostname", host: "" },
    {
      name: "with so long a name that the handshake has 128 bytes",
      host: `${"a".repeat(103)}.wild.example.com`,
    },
    { name: "with the longest name", host: `${"a".repeat(238)}.wild.example.com` },
  ];
  for (const { name, host } of spellings) {
    test(`${name}: the exact answer, the pong, and FIN`, async () => {
      await using town = await sleepingServers();
      const player = await town.player(statusPing(host));
      expect(await player.waitForEnd()).toBe("finished");
      expect(player.received()).toEqual(fullAnswer(asleepJson(774)));
      expect((await town.ended()).outcome).toEqual({
        kind: "answered",
        answer: "asleep",
        reason: "refuses connections",
      });
      expect(town.plane.requests).toEqual([]);
    });
  }

  test.each([-1, 47, 0x40000001])("protocol %i is echoed as it is", async (protocol) => {
    await using town = await sleepingServers();
    const player = await town.player(statusPing("sleepy.example.com", protocol));
    await player.waitForEnd();
    expect(player.received()).toEqual(fullAnswer(asleepJson(protocol)));
  });

  test("a client that waits for each answer, and sends byte by byte", async () => {
    await using town = await sleepingServers();
    const player = await town.player();
    await player.sendByteByByte(statusHandshake("sleepy.example.com"), 0);
    await player.sendByteByByte(statusRequest, 0);
    expect((await player.readFrame()).raw).toEqual(statusResponse(asleepJson(774)));
    await player.sendByteByByte(ping(-1n), 0);
    expect((await player.readFrame()).raw).toEqual(ping(-1n));
    expect(await player.waitForEnd()).toBe("finished");
  });

  test("a client that sends only a ping gets its pong and nothing else", async () => {
    await using town = await sleepingServers();
    const player = await town.player(
      Buffer.concat([statusHandshake("sleepy.example.com"), ping(0x0102030405060708n)]),
    );
    await player.waitForEnd();
    expect(player.received()).toEqual(ping(0x0102030405060708n));
  });

  test("a client whose requests have fields of a later version gets both answers", async () => {
    await using town = await sleepingServers();
    const later = Buffer.from("a field of a later version");
    const request = frame(0x00, later);
    const pinging = frame(0x01, Buffer.from("0102030405060708", "hex"), later);
    const player = await town.player(
      Buffer.concat([statusHandshake("sleepy.example.com"), request, pinging]),
    );
    await player.waitForEnd();
    expect(player.received()).toEqual(fullAnswer(asleepJson(774)));
  });

  test("a client that sends nothing gets the answer after 3 s, and FIN after 2 s more", async () => {
    const deadlines = manualDeadlines();
    await using town = await sleepingServers({ deadlines });
    const player = await town.player(statusHandshake("sleepy.example.com"));
    await advanceUntil(deadlines, "the answer", () => player.receivedLength > 0);
    expect(deadlines.now()).toBeGreaterThanOrEqual(3_000);
    expect((await player.readFrame()).raw).toEqual(statusResponse(asleepJson(774)));
    const answeredAtMs = deadlines.now();
    await advanceUntil(deadlines, "the end", () => player.ending !== "open");
    expect(deadlines.now() - answeredAtMs).toBeGreaterThanOrEqual(1_900);
    expect(player.ending).toBe("finished");
  });

  test("a client that sends something else gets the answer and FIN", async () => {
    await using town = await sleepingServers();
    const player = await town.player(
      Buffer.concat([statusHandshake("sleepy.example.com"), frame(0x07, Buffer.alloc(5))]),
    );
    expect(await player.waitForEnd()).toBe("finished");
    expect(player.received()).toEqual(statusResponse(asleepJson(774)));
  });

  const legacy: readonly { name: string; bytes: Buffer; fields: readonly string[] }[] = [
    {
      name: "1.6, which names the server",
      bytes: legacyPing.withHost("Sleepy.example.com", 25565),
      fields: ["§1", "127", "1.7+", asleepText, "0", "1"],
    },
    {
      name: "1.4, which names none",
      bytes: legacyPing.release,
      fields: ["§1", "127", "1.7+", asleepText, "0", "1"],
    },
    {
      name: "a pinger that sends the beginning of 1.6's",
      bytes: Buffer.from("fe01fa", "hex"),
      fields: ["§1", "127", "1.7+", asleepText, "0", "1"],
    },
    {
      name: "a pinger that stops within the hostname",
      bytes: legacyPing.withHost("Sleepy.example.com", 25565).subarray(0, -9),
      fields: ["§1", "127", "1.7+", asleepText, "0", "1"],
    },
    { name: "beta 1.8", bytes: legacyPing.beta, fields: [asleepText.replace("§6", ""), "0", "1"] },
  ];
  for (const { name, bytes, fields } of legacy) {
    test(`from ${name}: the answer of its age, and FIN`, async () => {
      await using town = await sleepingServers();
      const player = await town.player(bytes);
      expect(await player.waitForEnd()).toBe("finished");
      expect(readLegacyAnswer(player.received())).toEqual([...fields]);
      expect((await town.ended()).session.intent).toBe("legacy-ping");
      expect(town.plane.requests).toEqual([]);
    });
  }

  test("without a text: silence", async () => {
    await using town = await sleepingServers({ asleepText: "" });
    for (const bytes of [
      statusPing("sleepy.example.com"),
      legacyPing.withHost("sleepy.example.com", 1),
    ]) {
      const player = await town.player(bytes);
      expect(await player.waitForEnd()).toBe("finished");
      expect(player.receivedLength).toBe(0);
    }
    expect((await town.ended(1)).outcome).toMatchObject({ kind: "dropped", why: "no-answer" });
  });
});

describe("a ping of a server that starts", () => {
  const rows: readonly {
    name: string;
    texts: { asleepText: string; loadingText: string };
    shown: string | null;
  }[] = [
    { name: "the starting text", texts: { asleepText: "zzz", loadingText: "soon" }, shown: "soon" },
    {
      name: "the sleeping one where there is none",
      texts: { asleepText: "zzz", loadingText: "" },
      shown: "zzz",
    },
    {
      name: "its own text without a sleeping one",
      texts: { asleepText: "", loadingText: "soon" },
      shown: "soon",
    },
    {
      name: "nothing where there is neither",
      texts: { asleepText: "", loadingText: "" },
      shown: null,
    },
  ];
  for (const { name, texts, shown } of rows) {
    test(`shows ${name}`, async () => {
      await using town = await sleepingServers(texts);
      await town.player(login({ host: "sleepy.example.com", name: "Waiter" }));
      await until("the first look", () => town.plane.requests.some(({ kind }) => kind === "state"));
      const expected = shown === null ? Buffer.alloc(0) : fullAnswer(simpleJson(shown));
      // The answer of the control plane is on its way, and until it is there the server counts as asleep.
      await until(
        "known to be down",
        () => town.wakes?.isStarting({ kind: "control-plane", server: "sleepy" }) === true,
      );
      const player = await town.player(statusPing("SLEEPY.example.com."));
      expect(await player.waitForEnd()).toBe("finished");
      expect(player.received()).toEqual(expected);
    });
  }

  test("which has come up already is the server's own when there is no text of ours", async () => {
    using backend = startBackend(status('{"description":"mine"}'));
    await using plane = startControlPlane({ servers: [{ name: "a", startMs: null }] });
    await using world = startSessions({
      routes: [route("a.example.com", backend.address, "a")],
      plane,
    });
    await world.player(login({ host: "a.example.com", name: "Waiter" }));
    await until(
      "known to be down",
      () => world.wakes?.isStarting({ kind: "control-plane", server: "a" }) === true,
    );
    const player = await world.player(statusPing("a.example.com"));
    await player.waitForLength(fullAnswer('{"description":"mine"}').length);
    expect(player.received()).toEqual(fullAnswer('{"description":"mine"}'));
  });
});

describe("a ping of a server that is there", () => {
  test("is the server's own answer, byte for byte, and wakes nothing", async () => {
    const json = '{"version":{"name":"x","protocol":1},"description":"mine","extra":[1,2]}';
    using backend = startBackend(status(json));
    await using plane = startControlPlane({ servers: [{ name: "a" }] });
    await using world = startSessions({
      routes: [route("a.example.com", backend.address, "a")],
      plane,
      asleepText,
    });
    const bytes = statusPing("A.Example.com.\0FML2\0");
    const player = await world.player(bytes);
    await player.waitForLength(fullAnswer(json).length);
    player.close();
    const connection = await backend.waitForConnection(0);
    await connection.waitForEnd();
    connection.close();
    const { outcome } = await world.ended();
    expect(player.received()).toEqual(fullAnswer(json));
    expect(connection.received()).toEqual(bytes);
    expect(outcome).toEqual({
      kind: "relayed",
      end: {
        toBackend: bytes.length,
        toClient: fullAnswer(json).length,
        endedBy: "client",
        ending: "fin",
      },
    });
    expect(plane.requests).toEqual([]);
  });

  test("legacy pings are handed over as they are", async () => {
    using backend = startBackend(silent);
    await using world = startSessions({ routes: [route(null, backend.address)] });
    for (const [index, bytes] of [
      legacyPing.withHost("any.example.com", 1),
      legacyPing.release,
      legacyPing.beta,
    ].entries()) {
      await world.player(bytes);
      const connection = await backend.waitForConnection(index);
      await connection.waitForLength(bytes.length);
      expect(connection.received()).toEqual(bytes);
    }
  });

  test("when it cannot be woken and does not answer, nothing is said", async () => {
    using closed = await reserveClosedPort();
    await using world = startSessions({
      routes: [route("a.example.com", `127.0.0.1:${closed.port}`)],
      asleepText,
    });
    const player = await world.player(statusPing("a.example.com"));
    expect(await player.waitForEnd()).toBe("finished");
    expect(player.receivedLength).toBe(0);
    expect((await world.ended()).outcome).toEqual({
      kind: "dropped",
      why: "no-answer",
      reason: "refuses connections",
    });
  });
});
