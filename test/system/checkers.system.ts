import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { frame, intents, login, readHandshake, varint } from "../support/minecraft/wire.ts";
import { type Backend, type Behaviour, startBackend, status } from "../support/net/backend.ts";
import { startPostgres, type TestPostgres } from "../support/postgres/postgres.ts";
import { startControlPlane } from "../support/process/control-plane.ts";
import { noQueue, startNetwork } from "../support/process/e2e-network.ts";
import { startRouter } from "../support/process/router.ts";

setDefaultTimeout(300_000);

const folder = mkdtempSync(join(tmpdir(), "automc-checkers-"));
let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(async () => {
  await postgres.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** Runs a program to its end and returns what it printed; rejects where it fails. */
async function run(...command: readonly string[]): Promise<string> {
  const child = Bun.spawn([...command], { stdout: "pipe", stderr: "pipe", cwd: folder });
  const [text, errors, code] = await Promise.all([
    child.stdout.text(),
    child.stderr.text(),
    child.exited,
  ]);
  if (code !== 0) throw new Error(`${command.join(" ")} ended with ${code}: ${text}${errors}`);
  return text;
}

/** What a server of every version may say first to a player. */
const compression = frame(0x03, varint(256));

/** A server that is up: it answers pings, and says its first word to players. */
const running = status(
  '{"version":{"name":"1.12.2","protocol":340},"players":{"max":20,"online":0}}',
);
const answeringLogins: Behaviour = {
  data(connection, bytes) {
    const opening = readHandshake(connection.received());
    return opening?.handshake.intent === intents.login
      ? connection.send(compression)
      : running.data?.(connection, bytes);
  },
};

/** A server's answer to the pings of 1.4 to 1.6. */
function legacyAnswer(motd: string, online: number, most: number): Buffer {
  const text = ["§1", "78", "1.6.4", motd, online, most].join("\0");
  const units = Buffer.from(text, "utf16le").swap16();
  return Buffer.concat([Buffer.of(0xff, text.length >> 8, text.length & 0xff), units]);
}

/** A router with a server that takes so long to start, and then behaves like that. */
async function sleepingServer(
  startMs: number | null,
  behaviour: Behaviour,
  domain = "play.example.org",
) {
  const stack = new AsyncDisposableStack();
  const backend: Backend = stack.use(startBackend(behaviour));
  const plane = stack.use(
    startControlPlane({ servers: [{ name: "a", address: backend.address, startMs }] }),
  );
  const network = stack.use(
    await startNetwork({
      postgres,
      plane,
      rows: [{ name: "a", domain, address: "127.0.0.1:1" }],
      env: { AUTO_SCALE_ASLEEP_MOTD: "Asleep. Join to start." },
    }),
  );
  return { ...network, backend, plane, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

describe("mcstatus", () => {
  const python = join(folder, "venv/bin/python");
  beforeAll(async () => {
    await run("python3", "-m", "venv", "venv");
    await run(python, "-m", "pip", "install", "--quiet", "mcstatus==14.2.0");
  });

  /** What mcstatus makes of a server on that port, as an expression of `java` or `legacy`. */
  async function ask(port: number, expression: string): Promise<unknown> {
    const program = [
      "import json",
      "from mcstatus import JavaServer, LegacyServer",
      `java = JavaServer("localhost", ${port})`,
      `legacy = LegacyServer("localhost", ${port})`,
      `print(json.dumps(${expression}))`,
    ];
    return JSON.parse(await run(python, "-c", program.join("\n")));
  }

  test("reads the text of a sleeping server, gets its pong, and wakes nothing", async () => {
    await using place = await sleepingServer(null, status("{}"), "localhost");
    const { port } = place.router;
    expect(await ask(port, "java.status().motd.to_plain()")).toBe("Asleep. Join to start.");
    expect(await ask(port, "java.ping() >= 0")).toBe(true);
    expect(place.plane.starts("a")).toBe(0);
  });

  test("reads an old ping's answer, of which it sends no more than the beginning", async () => {
    using backend = startBackend({
      data: (connection) => connection.send(legacyAnswer("Up", 3, 60)),
    });
    await using router = await startRouter({ env: { ...noQueue, DEFAULT: backend.address } });
    expect(await ask(router.port, "legacy.status().players.online")).toBe(3);
    expect(backend.connections[0]?.received().toString("hex")).toStartWith("fe01");
  });
});

describe("BungeeCord's own decoder", () => {
  const classPath = join(folder, "lib/*");
  beforeAll(async () => {
    const source = join(import.meta.dir, "bungeecord");
    await run("cp", join(source, "pom.xml"), join(source, "Join.java"), folder);
    await run("mvn", "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=lib");
    await run("javac", "-cp", classPath, "-d", ".", "Join.java");
  });

  const host = "play.example.org";
  const forwarded = [host, "203.0.113.7", "069a79f444e94726a5befca90e38aaf5"].join("\0");
  const rows = [
    { name: "1.8, as a proxy between players and the router", protocol: 47, host, startMs: 15_000 },
    { name: "1.12.2, the same", protocol: 340, host, startMs: 15_000 },
    { name: "1.12.2 with ip_forward", protocol: 340, host: forwarded, startMs: 26_000 },
  ];
  test.each(rows)("waits for a sleeping server: $name", async ({ protocol, host, startMs }) => {
    await using place = await sleepingServer(startMs, answeringLogins);
    const opening = login({ protocol, host, name: "Steve" });
    const port = String(place.router.port);
    const java = Bun.spawn(
      ["java", "-cp", `${classPath}:.`, "Join", "127.0.0.1", port, opening.toString("hex")],
      { cwd: folder, stdout: "pipe", stderr: "inherit" },
    );
    let text = "";
    for await (const part of java.stdout) {
      text += Buffer.from(part).toString();
      if (text.includes("\n")) break;
    }
    java.kill();
    expect(text.split("\n")[0]).toBe(`frame ${compression.subarray(1).toString("hex")}`);
    expect(place.plane.starts("a")).toBe(1);
  });
});
