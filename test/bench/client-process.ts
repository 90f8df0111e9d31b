/**
 * The players, in a process of their own: what they cost is not counted. Takes jobs from its parent, and
 * ends with it.
 */
import type { Socket } from "bun";
import {
  frame,
  handshake,
  intents,
  loginStart,
  readVarint,
  varint,
} from "../support/minecraft/wire.ts";
import { type Order, serveJobs } from "../support/process/worker.ts";
import { hostnameOf, type Jobs } from "./jobs.ts";

interface Player {
  /** What to do with what arrives. */
  received: (bytes: Buffer) => void;
  /** The other side has ended the connection, or it has failed. */
  ended: () => void;
}

type Connection = Socket<Player>;

/** Minecraft 1.21.1. */
const protocol = 767;

const statusRequest = frame(0x00);
const pingPacket = frame(0x01, Buffer.alloc(8, 0x42));
const notUnderstood = Buffer.of(0);

/** How many connections are opened at once. */
const connecting = 64;
/** How many of `connects` may be under way: more than that the other side cannot take. */
const connectsAtOnce = 500;

const handlers = {
  data: (socket: Connection, chunk: Buffer) => socket.data.received(chunk),
  end: (socket: Connection) => void socket.end(),
  close: (socket: Connection) => socket.data.ended(),
  error: () => {},
};

const connect = (port: number, data: Player): Promise<Connection> =>
  Bun.connect<Player>({ hostname: "127.0.0.1", port, data, socket: handlers });

const loginBytes = (hostname: string, name: string): Buffer =>
  Buffer.concat([
    handshake({ protocol, host: hostname, port: 25_565, intent: intents.login }),
    loginStart(protocol, name),
  ]);

const statusBytes = (hostname: string): Buffer =>
  Buffer.concat([
    handshake({ protocol, host: hostname, port: 25_565, intent: intents.status }),
    statusRequest,
  ]);

/** Runs `count` steps, at most `parallel` of them at a time. */
async function inParallel(
  count: number,
  parallel: number,
  step: (index: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let index = next++; index < count; index = next++) await step(index);
  };
  await Promise.all(Array.from({ length: Math.min(parallel, count) }, worker));
}

/**
 * Connects, sends, and resolves with the first bytes that come back. Rejects when the connection ends
 * before.
 */
async function say(port: number, opening: Buffer): Promise<{ socket: Connection; first: Buffer }> {
  const heard = Promise.withResolvers<Buffer>();
  const socket = await connect(port, {
    received: heard.resolve,
    ended: () => heard.reject(new Error("the connection ended before the first byte")),
  });
  socket.write(opening);
  return { socket, first: await heard.promise };
}

const players: Connection[] = [];
let endedByOthers = 0;
let bytesBack = 0;

/**
 * Answers Login Plugin Requests as a game client without mods does: "not understood". A request comes as
 * one chunk.
 */
function answerRequests(socket: Connection, bytes: Buffer): void {
  for (let start = 0; start < bytes.length; ) {
    const length = readVarint(bytes, start);
    const packetId = length && readVarint(bytes, length.end);
    const messageId = packetId && readVarint(bytes, packetId.end);
    if (length === null || messageId === null || packetId?.value !== 0x04) {
      throw new Error("a waiting player got something else than a Login Plugin Request");
    }
    socket.write(frame(0x02, varint(messageId.value), notUnderstood));
    start = length.end + length.value;
  }
}

async function open({ port, hostname, count, held }: Jobs["open"]["input"]): Promise<null> {
  const ended = (): void => {
    endedByOthers += 1;
  };
  await inParallel(count, connecting, async (index) => {
    const opening = loginBytes(hostname, `player${index}`);
    if (held) {
      const player: Player = { received: () => {}, ended };
      const socket = await connect(port, player);
      player.received = (bytes) => answerRequests(socket, bytes);
      socket.write(opening);
      players.push(socket);
      return;
    }
    const { socket } = await say(port, opening);
    socket.data.ended = ended;
    socket.data.received = (bytes) => {
      bytesBack += bytes.length;
    };
    players.push(socket);
  });
  return null;
}

async function exchange({ perSecond, bytes, seconds }: Jobs["exchange"]["input"]): Promise<number> {
  const packet = Buffer.alloc(bytes, 0x5a);
  const rate = (players.length * perSecond) / 1000;
  const wanted = Math.round(rate * seconds * 1000);
  const startedAt = performance.now();
  bytesBack = 0;
  for (let sent = 0; sent < wanted; ) {
    const due = Math.min(wanted, Math.floor((performance.now() - startedAt) * rate));
    for (; sent < due; sent++) players[sent % players.length]?.write(packet);
    await Bun.sleep(1);
  }
  await until(() => bytesBack >= wanted * bytes, 5_000);
  if (bytesBack !== wanted * bytes) throw new Error(`${bytesBack} of ${wanted * bytes} bytes came`);
  return wanted;
}

async function close(): Promise<number> {
  const gone = endedByOthers;
  for (const socket of players) {
    socket.data.ended = () => {};
    socket.end();
  }
  players.length = 0;
  endedByOthers = 0;
  // The program under test has work of its own with the ends; the next job shall not see it.
  await Bun.sleep(500);
  return gone;
}

async function bulk({ port, sessions, bytesEach }: Jobs["bulk"]["input"]): Promise<number> {
  let arrived = 0;
  const wanted = Buffer.alloc(8);
  wanted.writeDoubleBE(bytesEach);
  await inParallel(sessions, sessions, async (index) => {
    const over = Promise.withResolvers<void>();
    const socket = await connect(port, {
      received: (bytes) => {
        arrived += bytes.length;
      },
      ended: over.resolve,
    });
    const opening = loginBytes(hostnameOf("bulk"), `player${index}`);
    socket.write(Buffer.concat([opening, wanted]));
    await over.promise;
  });
  return arrived;
}

async function pings(input: Jobs["pings"]["input"]): Promise<null> {
  const opening = statusBytes(input.hostname);
  await inParallel(input.count, input.parallel, async () => {
    const { socket, first } = await say(input.port, opening);
    if (readVarint(first, 0) === null) throw new Error("no status response");
    const pong = Promise.withResolvers<void>();
    socket.data.received = () => pong.resolve();
    socket.data.ended = () => pong.reject(new Error("the connection ended before the pong"));
    socket.write(pingPacket);
    await pong.promise;
    socket.data.ended = () => {};
    socket.end();
  });
  return null;
}

async function logins({ port, hostnames }: Jobs["logins"]["input"]): Promise<readonly number[]> {
  const times: number[] = [];
  for (const hostname of hostnames) {
    const startedAt = performance.now();
    const { socket } = await say(port, loginBytes(hostname, "player"));
    times.push(performance.now() - startedAt);
    socket.end();
  }
  return times;
}

async function visible({ port, hostname, greeting }: Jobs["visible"]["input"]): Promise<number> {
  const opening = loginBytes(hostname, "player");
  const giveUpAt = performance.now() + 20_000;
  while (performance.now() < giveUpAt) {
    const said = await say(port, opening).catch(() => null);
    said?.socket.end();
    if (said?.first[0] === greeting) return performance.timeOrigin + performance.now();
    // The machine is the router's and the database's meanwhile.
    await Bun.sleep(1);
  }
  throw new Error(`${hostname} does not lead where it should`);
}

async function probe({
  port,
  hostname,
  seconds,
}: Jobs["probe"]["input"]): Promise<readonly number[]> {
  const { socket } = await say(port, loginBytes(hostname, "probe"));
  const sentAt: number[] = [];
  const times: number[] = [];
  socket.data.received = (bytes) => {
    const now = performance.now();
    for (let i = 0; i < bytes.length; i++) times.push(now - (sentAt[times.length] ?? now));
  };
  const byte = Buffer.of(0x5a);
  const endsAt = performance.now() + seconds * 1000;
  while (performance.now() < endsAt) {
    sentAt.push(performance.now());
    socket.write(byte);
    await Bun.sleep(1);
  }
  await until(() => times.length === sentAt.length, 5_000);
  socket.end();
  return times;
}

async function connects({ port, perSecond, seconds }: Jobs["connects"]["input"]): Promise<number> {
  const startedAt = performance.now();
  let [begun, open, made] = [0, 0, 0];
  const left = (): void => {
    open -= 1;
  };
  for (let ms = 0; ms < seconds * 1000; ms = performance.now() - startedAt) {
    for (const due = (ms / 1000) * perSecond; begun < due && open < connectsAtOnce; begun += 1) {
      open += 1;
      connect(port, { received: () => {}, ended: left }).then((socket) => {
        made += 1;
        socket.end();
      }, left);
    }
    await Bun.sleep(1);
  }
  return made;
}

async function stall({ port, sessions }: Jobs["stall"]["input"]): Promise<null> {
  let [stalled, moved] = [0, 0];
  await inParallel(sessions, connecting, async () => {
    const player: Player = { received: () => {}, ended: () => {} };
    const socket = await connect(port, player);
    player.received = () => {
      moved += 1;
      socket.pause();
      stalled += 1;
    };
    socket.write(loginBytes(hostnameOf("bulk"), "stalled"));
    players.push(socket);
  });
  await until(() => stalled >= sessions, 30_000);
  for (let before = -1; before !== moved; await Bun.sleep(500)) before = moved;
  return null;
}

async function until(holds: () => boolean, limitMs: number): Promise<void> {
  const giveUpAt = performance.now() + limitMs;
  while (!holds() && performance.now() < giveUpAt) await Bun.sleep(1);
}

function run(order: Order<Jobs>): Promise<unknown> {
  switch (order.name) {
    case "open":
      return open(order.input);
    case "exchange":
      return exchange(order.input);
    case "close":
      return close();
    case "bulk":
      return bulk(order.input);
    case "pings":
      return pings(order.input);
    case "logins":
      return logins(order.input);
    case "visible":
      return visible(order.input);
    case "probe":
      return probe(order.input);
    case "connects":
      return connects(order.input);
    case "stall":
      return stall(order.input);
  }
}

serveJobs<Jobs>(run);
