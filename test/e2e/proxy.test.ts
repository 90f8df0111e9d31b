import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { connectPlayer } from "../support/minecraft/player.ts";
import { login } from "../support/minecraft/wire.ts";
import { type Backend, echo, startBackend } from "../support/net/backend.ts";
import { startPostgres } from "../support/postgres/postgres.ts";
import {
  complaints,
  insertRows,
  linesOf,
  noQueue,
  printedSchema,
  sessionEnd,
  startNetwork,
} from "../support/process/e2e-network.ts";
import { startRouter } from "../support/process/router.ts";
import { until } from "../support/until.ts";
import { believing, hello, hex, isLetIn, proxied4, proxied6, signature } from "./proxied-login.ts";

// Real joins, on a machine that is busy with something else.
setDefaultTimeout(60_000);

describe("a header in front of the login", () => {
  /** A client of null is the one that the socket comes from. */
  const headers: readonly { name: string; header: Buffer; client: string | null }[] = [
    { name: "none at all", header: Buffer.alloc(0), client: null },
    {
      name: "version 1, IPv4",
      header: Buffer.from("PROXY TCP4 203.0.113.7 10.0.0.1 55555 25565\r\n"),
      client: "203.0.113.7:55555",
    },
    {
      name: "version 1, IPv6",
      header: Buffer.from("PROXY TCP6 2001:db8::7 2001:db8::1 55555 25565\r\n"),
      client: "[2001:db8::7]:55555",
    },
    { name: "version 1, unknown", header: Buffer.from("PROXY UNKNOWN\r\n"), client: null },
    { name: "version 2, IPv4", header: proxied4, client: "203.0.113.7:55555" },
    { name: "version 2, IPv6", header: proxied6, client: "[2001:db8::7]:55555" },
    {
      name: "version 2 with fields behind the addresses",
      header: hex(`${signature} 21 11 0012 cb007107 0a000001 d903 63dd 04 0003 616263`),
      client: "203.0.113.7:55555",
    },
    { name: "version 2, local", header: hex(`${signature} 20 00 0000`), client: null },
  ];

  for (const trusted of [true, false]) {
    test(`names the client to log and backend when its sender is ${trusted ? "" : "not "}trusted, and never reaches the backend`, async () => {
      using backend = startBackend(echo);
      await using router = await startRouter({
        env: {
          ...believing,
          ...(!trusted && { TRUSTED_PROXIES: "192.0.2.0/24" }),
          MAPPING: `play.example.com=${backend.address}`,
        },
      });
      for (const [index, { name, header, client }] of headers.entries()) {
        using player = await connectPlayer({ port: router.port });
        // As slowly as a header can come; it is one all the same.
        await player.sendByteByByte(header, 0);
        await player.send(hello);
        expect({ name, heard: await player.read(hello.length) }).toEqual({ name, heard: hello });
        const expected = (trusted ? client : null) ?? `127.0.0.1:${player.localPort}`;
        await until("it is logged", () => linesOf(router, "session-relaying").length > index);
        expect({ name, client: linesOf(router, "session-relaying")[index]?.["client"] }).toEqual({
          name,
          client: expected,
        });
        expect(backend.connections[index]?.received()).toEqual(hello);
      }
    });

    test(`that is wrong is closed in silence when its sender is ${trusted ? "" : "not "}trusted`, async () => {
      using backend = startBackend(echo);
      await using router = await startRouter({
        env: {
          ...believing,
          ...(!trusted && { TRUSTED_PROXIES: "192.0.2.0/24" }),
          DEFAULT: backend.address,
        },
      });
      for (const [name, header] of Object.entries(wrong)) {
        expect({ name, isLetIn: await isLetIn(router, header) }).toEqual({ name, isLetIn: false });
      }
      expect(backend.connections.length).toBe(0);
      // Nobody who has to be told: this is what port scanners send.
      expect(complaints(router)).toEqual([]);
      expect(await isLetIn(router, proxied4)).toBe(true);
    });
  }
  const wrong: Readonly<Record<string, Buffer>> = {
    "version 1 with a word for a port": Buffer.from("PROXY TCP4 1.2.3.4 5.6.7.8 http 1\r\n"),
    "version 1 with a port too large": Buffer.from("PROXY TCP4 1.2.3.4 5.6.7.8 99999 1\r\n"),
    "version 1 of another family": Buffer.from("PROXY TCP4 2001:db8::1 5.6.7.8 1 2\r\n"),
    "version 1 with a name": Buffer.from("PROXY TCP4 localhost 5.6.7.8 1 2\r\n"),
    "version 1 without an end": Buffer.from(`PROXY TCP4 ${"1".repeat(200)}`),
    "version 2 of version 3": hex(`${signature} 31 11 000c cb007107 0a000001 d903 63dd`),
    "version 2 too short for its addresses": hex(`${signature} 21 11 0004 cb007107`),
    "version 2 too long": hex(`${signature} 21 11 ffff`),
    "version 2 over UDP": hex(`${signature} 21 12 000c cb007107 0a000001 d903 63dd`),
    "version 2 of an unknown family": hex(`${signature} 21 41 0000`),
  };

  test("that is not asked for is no login", async () => {
    using backend = startBackend(echo);
    await using router = await startRouter({ env: { ...noQueue, DEFAULT: backend.address } });
    expect(await isLetIn(router, proxied4)).toBe(false);
    expect(await isLetIn(router)).toBe(true);
    expect(backend.connections.length).toBe(1);
  });

  test("and the login have one deadline between them", async () => {
    await using router = await startRouter({ env: { ...believing, DEFAULT: "127.0.0.1:1" } });
    const starts: Readonly<Record<string, Buffer>> = {
      nothing: Buffer.alloc(0),
      "half a version 1 header": Buffer.from("PROXY TCP4 1.2.3.4"),
      "half a version 2 header": proxied4.subarray(0, 14),
      "a header and nothing more": proxied4,
    };
    await Promise.all(
      Object.entries(starts).map(async ([name, bytes]) => {
        using player = await connectPlayer({ port: router.port });
        await player.send(bytes);
        await player.waitForEnd(20_000);
        const openMs = performance.now() - player.openedAtMs;
        // The limit is 5 s; twice the limit would be one for each.
        expect({ name, isSoon: openMs < 9_500 }).toEqual({ name, isSoon: true });
        expect({ name, heard: player.receivedLength }).toEqual({ name, heard: 0 });
      }),
    );
  });
});

describe("the client filter on a listener for both families", () => {
  const rows: readonly {
    name: string;
    env: Readonly<Record<string, string>>;
    ipv4: boolean;
    ipv6: boolean;
  }[] = [
    { name: "without lists", env: {}, ipv4: true, ipv6: true },
    { name: "an IPv4 address", env: { CLIENTS_TO_ALLOW: "127.0.0.1" }, ipv4: true, ipv6: false },
    { name: "an IPv4 network", env: { CLIENTS_TO_ALLOW: "127.0.0.0/8" }, ipv4: true, ipv6: false },
    {
      name: "a network with host bits",
      env: { CLIENTS_TO_ALLOW: "10.0.0.1,127.9.9.9/8" },
      ipv4: true,
      ipv6: false,
    },
    {
      name: "a mapped address",
      env: { CLIENTS_TO_ALLOW: "::ffff:127.0.0.1" },
      ipv4: true,
      ipv6: false,
    },
    {
      name: "a mapped network",
      env: { CLIENTS_TO_ALLOW: "::ffff:127.0.0.0/104" },
      ipv4: true,
      ipv6: false,
    },
    { name: "an IPv6 address", env: { CLIENTS_TO_ALLOW: "::1" }, ipv4: false, ipv6: true },
    { name: "all of IPv6", env: { CLIENTS_TO_ALLOW: "::/0" }, ipv4: false, ipv6: true },
    { name: "somebody else", env: { CLIENTS_TO_ALLOW: "192.0.2.1" }, ipv4: false, ipv6: false },
    { name: "no IPv4 network", env: { CLIENTS_TO_DENY: "127.0.0.0/8" }, ipv4: false, ipv6: true },
    { name: "no IPv6 address", env: { CLIENTS_TO_DENY: "::1" }, ipv4: true, ipv6: false },
    { name: "not somebody else", env: { CLIENTS_TO_DENY: "192.0.2.1" }, ipv4: true, ipv6: true },
    {
      name: "both lists, of which the deny list wins",
      env: { CLIENTS_TO_ALLOW: "127.0.0.0/8,::1", CLIENTS_TO_DENY: "127.0.0.1" },
      ipv4: false,
      ipv6: true,
    },
  ];
  for (const { name, env, ipv4, ipv6 } of rows) {
    test(`serves the right clients: ${name}`, async () => {
      using backend = startBackend(echo);
      await using router = await startRouter({
        env: { ...noQueue, AUTOMC_BIND: "::", DEFAULT: backend.address, ...env },
      });
      const seen = {
        ipv4: await isLetIn(router, undefined, "127.0.0.1"),
        ipv6: await isLetIn(router, undefined, "::1"),
      };
      expect(seen).toEqual({ ipv4, ipv6 });
      expect(complaints(router)).toEqual([]);
    });
  }

  test("looks at the address that a trusted proxy tells, and at no other header", async () => {
    using backend = startBackend(echo);
    const env = { ...noQueue, RECEIVE_PROXY_PROTOCOL: "true", DEFAULT: backend.address };
    await using trusting = await startRouter({
      env: { ...env, TRUSTED_PROXIES: "127.0.0.1/32", CLIENTS_TO_DENY: "203.0.113.0/24" },
    });
    expect(await isLetIn(trusting, proxied4)).toBe(false);
    expect(await isLetIn(trusting, proxied6)).toBe(true);
    expect(await isLetIn(trusting)).toBe(true);

    await using strict = await startRouter({
      env: { ...env, TRUSTED_PROXIES: "192.0.2.1/32", CLIENTS_TO_DENY: "127.0.0.1" },
    });
    expect(await isLetIn(strict, proxied4)).toBe(false);
    expect(await isLetIn(strict, hex(`${signature} 21 12 000c cb007107 0a000001 d903 63dd`))).toBe(
      false,
    );
  });
});

test("the column proxy_protocol decides for its server, NULL leaves it to the setting", async () => {
  const postgres = await startPostgres();
  try {
    const backends = ["with", "without", "unsaid"].map((name) => ({
      name,
      backend: startBackend(echo),
    }));
    await using network = await startNetwork({
      postgres,
      env: { USE_PROXY_PROTOCOL: "true" },
      schema: `${await printedSchema()}; ALTER TABLE servers ADD COLUMN proxy_protocol BOOLEAN; ${await printedSchema()}`,
    });
    const { database, router } = network;
    await insertRows(
      database,
      backends.map(({ name, backend }) => ({
        name,
        domain: `${name}.x`,
        address: backend.address,
      })),
    );
    await database.sql`UPDATE servers SET proxy_protocol = (name = 'with') WHERE name != 'unsaid'`;

    /** Whether the next player's login arrives behind a header. */
    const hasHeader = async (name: string, backend: Backend): Promise<boolean> => {
      const bytes = login({ host: `${name}.x`, name: "Steve" });
      using player = await connectPlayer({ port: router.port });
      await player.send(bytes);
      await until(
        "somebody hears of it",
        () => player.receivedLength > 0 || player.ending !== "open",
      );
      const connection = backend.connections.at(-1);
      await until("the login has arrived", () =>
        connection === undefined ? true : connection.received().includes(bytes),
      );
      return connection?.received().subarray(0, 12).equals(hex(signature)) ?? false;
    };
    const says = (expected: Readonly<Record<string, boolean>>) =>
      until(`it is ${JSON.stringify(expected)}`, async () => {
        const seen: Record<string, boolean> = {};
        for (const { name, backend } of backends) seen[name] = await hasHeader(name, backend);
        return Bun.deepEquals(seen, { ...expected });
      });

    await says({ with: true, without: false, unsaid: true });
    // The trigger of the column tells it; the next full read is a minute away.
    await database.sql`UPDATE servers SET proxy_protocol = NOT proxy_protocol`;
    await says({ with: false, without: true, unsaid: true });
    await sessionEnd(router, "Steve");
    for (const { backend } of backends) backend.stop();
  } finally {
    await postgres.stop();
  }
});
